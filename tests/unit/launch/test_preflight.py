"""What a preflight finds before a GPU is asked for, with data and results on a real S3 server."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import pytest
import torch

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import ConfigFailure, DataFailure, StorageFailure
from mmaction_trainer.contract.preflight import CHECKS
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import DataSource, Run, Weights
from mmaction_trainer.runtime import examine
from tests.cluster.s3 import S3Server, client
from tests.cluster.s3_faults import Answer, Forward, Request, in_front_of, refusal

from .conftest import AVI, MP4, OTHER, Pod, small_model

_numbers = count()
FEW: Mapping[str, str | Path] = {
    "train.txt": "a.mp4 0\nb.avi 1\n",
    "val.txt": "c.mp4 1\n",
    "videos/a.mp4": MP4,
    "videos/b.avi": AVI,
    "videos/c.mp4": OTHER,
}


class Buckets:
    """Buckets of one test on a server, one of data and one for results."""

    def __init__(self, server: S3Server) -> None:
        number = next(_numbers)
        self.server = server
        self.data, self.results = (server.bucket(f"preflight-{kind}-{number}") for kind in ("data", "results"))

    def put(self, files: Mapping[str, str | bytes | Path]) -> None:
        """Put files into the data's bucket, below ``set``."""
        for name, content in files.items():
            body = content.read_bytes() if isinstance(content, Path) else content
            client(self.server).put_object(Bucket=self.data.removeprefix("s3://"), Key=f"set/{name}", Body=body)

    def left(self) -> set[str]:
        """Names of what is in the results' bucket."""
        listed = client(self.server).list_objects_v2(Bucket=self.results.removeprefix("s3://"))
        return {found["Key"] for found in listed.get("Contents", [])}

    def told(self, a_pod: Pod, **changes: object) -> Run:
        """A run on these buckets; the pod is given the credentials."""
        a_pod.environment |= self.server.environment()
        source = DataSource(uri=f"{self.data}/set", format="list", num_classes=2)
        return a_pod.told(data=source, results_uri=f"{self.results}/team/default/job/uid").model_copy(update=changes)


@pytest.fixture
def buckets(s3: S3Server) -> Buckets:
    return Buckets(s3)


def expect(answer: tuple[int, str, Result], failure: type[DataFailure | StorageFailure | ConfigFailure]) -> str:
    """The message of a failure of this class, which output, exit code and termination message agree on."""
    code, output, result = answer
    assert code == failure.exit_code, output
    assert result.error
    assert (result.outcome, result.error.exit_code, result.error.failure) == ("Failed", code, failure.name)
    assert f"{failure.name}: {result.error.message}" in output
    assert "Traceback" not in output
    return result.error.message


@pytest.mark.parametrize("kind", ["s3", "rclone"])
def test_a_good_job_passes_with_its_warnings_and_leaves_nothing_in_storage(
    kind: str, request: pytest.FixtureRequest, a_pod: Pod
) -> None:
    buckets = Buckets(request.getfixturevalue(kind))
    many = "".join(f"video-{number:02}.mp4 {number % 2}\n" for number in range(20))
    buckets.put({**FEW, "train.txt": many})
    buckets.put({f"videos/video-{number:02}.mp4": MP4.read_bytes() + bytes(number) for number in range(20)})
    run = buckets.told(a_pod)
    code, output, result = a_pod.preflight(run.model_copy(update={"data": run.data.model_copy(update={"span": 99})}))
    assert (code, result.outcome, result.error) == (0, "Succeeded", None), output
    (warning,) = result.warnings
    assert "shorter than a clip, which spans 99 frames" in warning
    assert f"warning: {warning}" in output.splitlines()
    assert buckets.left() == set()
    fetched = [path.name for path in (a_pod.root / "cache").rglob("*.mp4")]
    assert 2 < len(fetched) <= 7, "a few videos of each split, not the data set"
    assert [check.name for check in a_pod.report.checks] == list(CHECKS)
    said = {check.name: check.said for check in a_pod.report.checks}
    assert said["lists"] == "train 20, val 1, test 1 videos of 2 classes"
    assert said["decoding"] == "6 of 21 videos decoded"
    assert said["model"].startswith("MobileNetV2TSM, 2.23 M parameters")
    assert said["learning rate"].startswith("0.001 of SGD for a batch of 2, 0.001 to 0.01 by group of parameters")
    assert said["memory"].startswith("about 0.")


def test_a_missing_list_is_named_with_what_is_there(buckets: Buckets, a_pod: Pod) -> None:
    buckets.put({name: content for name, content in FEW.items() if name != "train.txt"})
    message = expect(a_pod.preflight(buckets.told(a_pod)), DataFailure)
    assert message.startswith("train.txt: no such file; ")
    assert "holds val.txt, videos/" in message


def test_all_that_is_wrong_is_told_at_once(buckets: Buckets, a_pod: Pod) -> None:
    buckets.put({**FEW, "train.txt": "a.mp4 0\nb.avi 2\n", "videos/c.mp4": MP4.read_bytes()[:40_000]})
    run = buckets.told(
        a_pod,
        results_uri=f"{buckets.results}-not/team",
        pretrained=Weights(uri=f"{buckets.data}/weights/tsm.pth", name="tsm.pth"),
    )
    message = expect(a_pod.preflight(run), DataFailure)
    assert message.startswith("train.txt:2: label 2 is no class id; accepted: 0 to 1")
    assert "Also: Data: " in message
    assert "videos/c.mp4: does not decode" in message
    assert f"Also: Storage: {buckets.results}-not/team" in message
    assert "no such bucket" in message
    assert f"Also: Storage: {buckets.data}/weights/tsm.pth: no such object" in message


def test_a_wrong_secret_is_told_and_not_shown(buckets: Buckets, a_pod: Pod) -> None:
    buckets.put(FEW)
    run = buckets.told(a_pod)
    a_pod.environment["AWS_SECRET_ACCESS_KEY"] = "a-wrong-secret"
    answer = a_pod.preflight(run)
    message = expect(answer, StorageFailure)
    assert f"{buckets.results}/team/default/job/uid/.preflight: wrong secret" in message
    assert f"{buckets.data}/set" in message
    assert "a-wrong-secret" not in answer[1] + message


def test_credentials_that_may_not_delete_are_found_before_a_training(buckets: Buckets, a_pod: Pod) -> None:
    def keeps(request: Request, forward: Forward) -> Answer:
        return refusal(403, "AccessDenied") if request.method == "DELETE" else forward(request)

    buckets.put(FEW)
    run = buckets.told(a_pod)
    with in_front_of(buckets.server, keeps) as server:
        a_pod.environment |= server.environment()
        message = expect(a_pod.preflight(run), StorageFailure)
    assert "denied" in message
    assert "delete" in message


def test_storage_that_gives_back_something_else_is_refused(buckets: Buckets, a_pod: Pod) -> None:
    def forgets(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.method == "GET" and request.path.endswith(".preflight"):
            answer.body = b"x" * len(answer.body)
        return answer

    buckets.put(FEW)
    run = buckets.told(a_pod)
    with in_front_of(buckets.server, forgets) as server:
        a_pod.environment |= server.environment()
        assert ".preflight: does not hold what was written" in expect(a_pod.preflight(run), StorageFailure)


def test_a_config_that_is_not_the_one_of_this_attempt_is_refused_before_anything_is_written(a_pod: Pod) -> None:
    other = dataclasses.replace(small_model(), text="model = {}")
    message = expect(a_pod.preflight(a_pod.told(), other), ConfigFailure)
    assert message.startswith("config.py: sha256 is ")
    assert not (a_pod.root / "results").exists()


def checkpoint(path: Path, state: Mapping[str, object]) -> str:
    """A file as MMEngine writes them."""
    torch.save({"meta": {"epoch": 1}, "state_dict": state}, path)
    return str(path)


def test_a_checkpoint_of_another_network_is_refused_with_names_of_both(a_pod: Pod) -> None:
    path = checkpoint(a_pod.root / "other.pth", {"backbone.layer9.weight": torch.zeros(3)})
    message = expect(a_pod.preflight(a_pod.told(), small_model(path)), ConfigFailure)
    assert "other.pth is of another model: 0 of its weights fit" in message
    assert "1 unexpected (backbone.layer9.weight)" in message


def test_a_checkpoint_of_this_network_with_other_classes_fits(a_pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    (a_pod.root / layout.CONFIG).write_text(small_model().text)
    monkeypatch.chdir(a_pod.root)
    _, model = examine.build()
    state = {**model.state_dict(), "cls_head.fc_cls.weight": torch.zeros(400, 1280)}
    code, output, result = a_pod.preflight(a_pod.told(), small_model(checkpoint(a_pod.root / "k400.pth", state)))
    assert (code, result.warnings) == (0, ()), output
    assert next(check.said for check in a_pod.report.checks if check.name == "model").endswith("k400.pth fits it")


def test_a_file_that_is_no_checkpoint_is_refused(a_pod: Pod) -> None:
    (a_pod.root / "page.pth").write_text("<html>not found</html>")
    message = expect(a_pod.preflight(a_pod.told(), small_model(str(a_pod.root / "page.pth"))), ConfigFailure)
    assert "page.pth is no checkpoint that torch reads: " in message


def test_a_config_that_builds_no_model_is_refused(a_pod: Pod) -> None:
    rendered = small_model(overrides={"model": {"backbone": {"frozen_stages": 99}}})
    message = expect(a_pod.preflight(a_pod.told(), rendered), ConfigFailure)
    assert message.startswith("config.py: cannot be built: ")


def test_a_model_whose_parts_do_not_fit_is_refused_before_it_computes_anything(a_pod: Pod) -> None:
    rendered = small_model(overrides={"model": {"cls_head": {"in_channels": 7}}})
    message = expect(a_pod.preflight(a_pod.told(), rendered), ConfigFailure)
    assert message.startswith("config.py: a training step fails: ")
    assert "7" in message
