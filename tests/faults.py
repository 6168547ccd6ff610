"""What can be wrong with a job, each fault by itself in a job that is otherwise good.

``tests/local`` runs the preflight of each on this machine; ``tests/e2e`` applies each to a cluster, where none may come
to a pod that asks for a GPU.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from mmaction_trainer.contract.errors import ConfigFailure, DataFailure, Failure, StorageFailure
from tests.clips import CLIPS, a_clip
from tests.cluster.s3 import S3Server, client

AV1 = Path(__file__).parent / "data" / "av1.mp4"
SMALL = "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb"
DATA, RESULTS = "s3://faults", "s3://fault-results"
OWN, GUEST, UNKNOWN = "s3-credentials", "guest-credentials", "unknown-credentials"
"""Names of Secrets: keys that may do all, that may do nothing, and that the S3 server does not know."""

Files = Mapping[str, bytes | None]


GOOD: Files = {
    "train.txt": b"a.mp4 0\nb.mp4 1\n",
    "val.txt": b"c.mp4 1\n",
    "classes.txt": b"run\nwalk\n",
    **{f"videos/{name}.mp4": a_clip(name) for name in "abc"},
}


def job_of(name: str, data: str, **changes: Any) -> dict[str, Any]:
    """A good job that asks for a GPU; ``changes`` are merged into its spec."""
    spec: dict[str, Any] = {
        "model": {"config": SMALL, "pretrained": "none"},
        "dataset": {"uri": data, "format": "list", "numClasses": 2},
        "input": {"cropSize": 32},
        "training": {"epochs": 20, "batchSizePerGPU": 2, "lr": 0.001, "workers": 0},
        "resources": {"gpusPerNode": 1},
        "storage": {"uri": RESULTS, "credentialsSecret": OWN},
    }
    return {
        "apiVersion": "mmaction.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": merged(spec, changes),
    }


def merged(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A spec with keys changed, object by object."""
    result = copy.deepcopy(dict(spec))
    for key, value in changes.items():
        result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) and key != "overrides" else value
    return result


def a_clip_cut_off() -> bytes:
    """The first half of a real AVI, which opens and shows what frames there are."""
    whole = (CLIPS / "test.avi").read_bytes()
    return whole[: len(whole) // 2]


def a_video(frames: int) -> bytes:
    """An mp4 of a gray square."""
    held = io.BytesIO()
    with av.open(held, "w", "mp4") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = np.full((64, 64, 3), 5 * number % 255, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return held.getvalue()


def only_sound() -> bytes:
    """An mp4 of half a second of silence."""
    held = io.BytesIO()
    with av.open(held, "w", "mp4") as file:
        stream = file.add_stream("aac", rate=44100, layout="mono")
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, 1024 * number
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return held.getvalue()


def a_checkpoint(weights: Mapping[str, torch.Tensor]) -> bytes:
    """A file as MMEngine writes them."""
    held = io.BytesIO()
    torch.save({"meta": {"epoch": 1}, "state_dict": dict(weights)}, held)
    return held.getvalue()


def put(server: S3Server, folder: str, files: Files) -> str:
    """Put a data set into the data's bucket; where it lies."""
    for path, content in files.items():
        if content is not None:
            client(server).put_object(Bucket=DATA.removeprefix("s3://"), Key=f"{folder}/{path}", Body=content)
    return f"{DATA}/{folder}"


def users(server: S3Server) -> Mapping[str, S3Server]:
    """Whose keys each Secret holds."""
    return {
        OWN: server,
        GUEST: server.guest(),
        UNKNOWN: replace(server, access_key="nobody", secret_key="nobodys-secret-key"),
    }


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        name: what it is, as a job's name.
        check: the check that finds it; ``render`` where no preflight is needed to.
        failure: its class.
        says: words of its message.
        files: what is other than in a good data set, by path; None for a file that is not there.
        spec: what is other than in a good job.
        environment: what the trainer's environment has besides.
        also: other checks that find it too.
    """

    name: str
    check: str
    failure: type[Failure]
    says: tuple[str, ...]
    files: Files = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    @property
    def data(self) -> str:
        """Where its data set lies."""
        return f"{DATA}/{self.name}"

    @property
    def job(self) -> dict[str, Any]:
        """The job that has it."""
        return job_of(self.name, self.data, **self.spec)

    @property
    def data_set(self) -> Files:
        """The files of its data set, and of what else it names."""
        return {**GOOD, **self.files}


def weights(name: str, fault: str) -> dict[str, Any]:
    """A spec that starts from a checkpoint in the data set's folder."""
    return {"model": {"config": SMALL, "pretrained": f"{DATA}/{fault}/{name}"}}


FAULTS = (
    # What no preflight is needed for.
    Fault(
        "unknown-config", "render", ConfigFailure, ("spec.model.config", SMALL), spec={"model": {"config": SMALL[:-1]}}
    ),
    Fault(
        "auto-scaled-rate",
        "render",
        ConfigFailure,
        ("spec.overrides.auto_scale_lr", "spec.training.lr"),
        spec={"overrides": {"auto_scale_lr": {"enable": True, "base_batch_size": 256}}},
    ),
    Fault(
        "two-rates",
        "render",
        ConfigFailure,
        ("spec.overrides.optim_wrapper.optimizer.lr", "0.5", "0.01"),
        spec={"training": {"lr": 0.01}, "overrides": {"optim_wrapper": {"optimizer": {"lr": 0.5}}}},
    ),
    Fault(
        "owned-key", "render", ConfigFailure, ("spec.overrides.load_from",), spec={"overrides": {"load_from": "x.pth"}}
    ),
    Fault(
        "strange-crop",
        "render",
        ConfigFailure,
        ("spec.input.cropSize", "TimeSformer"),
        spec={
            "model": {"config": "timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb", "pretrained": "none"},
            "input": {"cropSize": 100},
        },
    ),
    # Lists
    Fault("missing-list", "lists", DataFailure, ("train.txt: no such file", "holds"), {"train.txt": None}),
    Fault("empty-list", "lists", DataFailure, ("val.txt: lists nothing",), {"val.txt": b"\n\n"}),
    Fault(
        "malformed-line", "lists", DataFailure, ("train.txt:2", "not a line of a list"), {"train.txt": b"a.mp4 0\nb\n"}
    ),
    Fault("list-in-utf16", "lists", DataFailure, ("train.txt: not text",), {"train.txt": "a.mp4 0".encode("utf-16")}),
    Fault(
        "list-of-another-place",
        "lists",
        DataFailure,
        ("lists/train.txt: no such file",),
        spec={"dataset": {"lists": {"train": "lists/train.txt"}}},
    ),
    # Classes
    Fault(
        "one-class-more", "classes", DataFailure, ("3 classes", "numClasses to 3"), {"classes.txt": b"run\nwalk\nfly\n"}
    ),
    Fault("class-twice", "classes", DataFailure, ("class 'run' is named twice",), {"classes.txt": b"run\nrun\n"}),
    # Labels
    Fault(
        "label-beyond", "labels", DataFailure, ("train.txt:2: label 2", "0 to 1"), {"train.txt": b"a.mp4 0\nb.mp4 2\n"}
    ),
    Fault("negative-label", "labels", DataFailure, ("train.txt:1: label -1",), {"train.txt": b"a.mp4 -1\nb.mp4 1\n"}),
    Fault(
        "labels-from-one",
        "labels",
        DataFailure,
        ("take 1 off",),
        {"train.txt": b"a.mp4 1\nb.mp4 2\n", "val.txt": b"c.mp4 2\n"},
    ),
    Fault(
        "two-labels",
        "labels",
        DataFailure,
        ("train.txt:3: 'a.mp4' has label 1, and train.txt:1 gives it 0",),
        {"train.txt": b"a.mp4 0\nb.mp4 1\na.mp4 1\n"},
    ),
    # Videos
    Fault("missing-video", "videos", DataFailure, ("val.txt:1: 'c.mp4' is not there",), {"videos/c.mp4": None}),
    Fault("path-out", "videos", DataFailure, ("leads out of the data set",), {"val.txt": b"../c.mp4 1\n"}),
    Fault("empty-video", "videos", DataFailure, ("train.txt:2: 'b.mp4' has 0 bytes",), {"videos/b.mp4": b""}),
    Fault(
        "another-folder",
        "videos",
        DataFailure,
        ("'a.mp4' is not there", "clips/"),
        spec={"dataset": {"videos": "clips"}},
    ),
    # Leakage
    Fault("leaked-name", "leakage", DataFailure, ("val.txt:1: 'a.mp4' is in train too",), {"val.txt": b"a.mp4 0\n"}),
    Fault(
        "leaked-copy",
        "leakage",
        DataFailure,
        ("val.txt:1: 'c.mp4' is in train too (train.txt:1, a.mp4)",),
        {"videos/c.mp4": a_clip("a")},
    ),
    # Decoding
    Fault(
        "truncated-video", "decoding", DataFailure, ("b.mp4: does not decode",), {"videos/b.mp4": a_clip("b")[:79_000]}
    ),
    Fault(
        "truncated-avi",
        "decoding",
        DataFailure,
        ("b.avi: does not decode", "the file is cut off", "bytes of it are missing"),
        {"train.txt": b"a.mp4 0\nb.avi 1\n", "videos/b.mp4": None, "videos/b.avi": a_clip_cut_off()},
    ),
    Fault("page-as-video", "decoding", DataFailure, ("c.mp4: does not decode",), {"videos/c.mp4": b"<html>404</html>"}),
    Fault("wrong-codec", "decoding", DataFailure, ("c.mp4: does not decode",), {"videos/c.mp4": AV1.read_bytes()}),
    Fault("only-sound", "decoding", DataFailure, ("c.mp4", "no video stream"), {"videos/c.mp4": only_sound()}),
    # Frames
    Fault(
        "too-few-frames",
        "frames",
        DataFailure,
        ("c.mp4: has 1 frames, and the model sees 8 at once",),
        {"videos/c.mp4": a_video(1)},
    ),
    # Weights
    Fault(
        "missing-weights",
        "weights",
        StorageFailure,
        ("gone.pth: no such object",),
        spec=weights("gone.pth", "missing-weights"),
    ),
    Fault(
        "other-weights",
        "weights",
        StorageFailure,
        ("sha256 begins with", "accepted: "),
        {f"{SMALL}_20230414-401127fd.pth": b"other bytes"},
        spec={"model": {"config": SMALL, "pretrained": "zoo"}},
        environment={"TRAINJOB_WEIGHTS": f"{DATA}/other-weights"},
    ),
    # The model
    Fault(
        "no-checkpoint",
        "model",
        ConfigFailure,
        ("page.pth is no checkpoint",),
        {"page.pth": b"<html>404</html>"},
        weights("page.pth", "no-checkpoint"),
    ),
    Fault(
        "another-model",
        "model",
        ConfigFailure,
        ("resnet.pth is of another model: 0 of its weights fit", "layer1.0.conv1.weight"),
        {"resnet.pth": a_checkpoint({"backbone.layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)})},
        weights("resnet.pth", "another-model"),
    ),
    Fault(
        "unbuildable",
        "model",
        ConfigFailure,
        ("config.py: cannot be built",),
        spec={"overrides": {"model": {"backbone": {"frozen_stages": 99}}}},
    ),
    Fault(
        "parts-that-do-not-fit",
        "memory",
        ConfigFailure,
        ("config.py: a training step fails",),
        spec={"overrides": {"model": {"cls_head": {"in_channels": 7}}}},
    ),
    # Storage
    Fault(
        "no-bucket",
        "storage",
        StorageFailure,
        ("s3://no-such-bucket", "no such bucket"),
        spec={"storage": {"uri": "s3://no-such-bucket/team"}},
    ),
    Fault(
        "denied",
        "storage",
        StorageFailure,
        (f"{RESULTS}/", "denied"),
        spec={"storage": {"credentialsSecret": GUEST}},
        also=("lists",),
    ),
    Fault(
        "unknown-key",
        "storage",
        StorageFailure,
        (f"{RESULTS}/", "access key"),
        spec={"storage": {"credentialsSecret": UNKNOWN}},
        also=("lists",),
    ),
)
