"""The examples parse and render, train as their comments say, and become the objects that they are there to show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmaction_operator.api import TrainJob, read
from mmaction_operator.plan import Settings, objects_of
from mmaction_operator.render import render
from mmaction_trainer.contract.run import Run

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "s3-credentials.yaml"
FILES = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.yaml"))
JOBS = [name for name in FILES if name != SECRET]
ON_S3 = [name for name in JOBS if not name.startswith("demo/")]
PORT = 20001


@dataclass(frozen=True)
class Recipe:
    """What a file's comments promise; protocols are clips x crops."""

    world: int
    batch: int
    lr: float | None
    epochs: int
    test: str
    val: str = "1x1"


GUIDE = {
    "guide/i3d.yaml": Recipe(world=4, batch=32, lr=0.005, epochs=100, test="10x3"),
    "guide/slowfast.yaml": Recipe(world=4, batch=32, lr=0.005, epochs=100, test="10x3"),
    "guide/timesformer.yaml": Recipe(world=4, batch=32, lr=0.0025, epochs=30, test="1x3"),
    "guide/uniformerv2.yaml": Recipe(world=4, batch=32, lr=1.25e-6, epochs=30, test="4x3"),
}
OTHERS = {
    "one-gpu.yaml": Recipe(world=1, batch=8, lr=0.00125, epochs=30, test="10x3"),
    "four-gpus.yaml": Recipe(world=4, batch=32, lr=0.005, epochs=30, test="10x3"),
    "two-nodes.yaml": Recipe(world=8, batch=64, lr=0.01, epochs=30, test="10x3"),
    "host-network.yaml": Recipe(world=8, batch=64, lr=0.01, epochs=30, test="10x3"),
    "lists.yaml": Recipe(world=4, batch=32, lr=0.005, epochs=30, test="10x3"),
    "trackers.yaml": Recipe(world=4, batch=32, lr=0.005, epochs=30, test="10x3"),
    "cpu.yaml": Recipe(world=2, batch=10, lr=0.0005, epochs=8, test="1x3"),
    "evaluate.yaml": Recipe(world=1, batch=1, lr=None, epochs=0, test="5x3", val="None"),
}
RECIPES = GUIDE | OTHERS


def job_of(name: str) -> TrainJob:
    """The example as a cluster has it, with a uid."""
    job = read(EXAMPLES / name)
    return job.model_copy(update={"metadata": job.metadata.model_copy(update={"uid": "0a1b-2c3d"})})


def made(name: str) -> dict[str, dict[str, Any]]:
    """The objects of the example's first attempt, by kind."""
    job = job_of(name)
    return {item["kind"]: item for item in objects_of(job, render(job), 1, PORT, Settings(trainer_image="trainer:v1"))}


def pod(name: str) -> dict[str, Any]:
    """The pod that the example's Job makes."""
    spec: dict[str, Any] = made(name)["Job"]["spec"]["template"]["spec"]
    return spec


def limits(name: str) -> dict[str, str]:
    """What the example's container is held to."""
    (container,) = pod(name)["containers"]
    found: dict[str, str] = container["resources"]["limits"]
    return found


def secret() -> dict[str, Any]:
    """The Secret."""
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / SECRET).read_text(encoding="utf-8"))
    return found


def test_each_kind_of_training_has_one() -> None:
    assert set(RECIPES) <= set(JOBS)
    assert SECRET in FILES


def test_each_is_in_the_list_of_examples_and_no_other() -> None:
    linked = re.findall(r"\]\(([^)]+\.yaml)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert sorted(linked) == FILES


def test_no_two_have_one_name_so_all_can_be_applied_to_one_namespace() -> None:
    names = [read(EXAMPLES / name).metadata.name for name in ON_S3]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", JOBS)
def test_it_renders_to_a_config_for_the_classes_of_its_data(name: str) -> None:
    job = read(EXAMPLES / name)
    classes = {"ucf101": 101, "mine": 400}.get(job.spec.dataset.uri.rpartition("/")[2], 6)
    assert render(job).config["model"]["cls_head"]["num_classes"] == classes


@pytest.mark.parametrize("name", RECIPES)
def test_it_trains_and_tests_as_its_comments_say(name: str) -> None:
    job = read(EXAMPLES / name)
    rendered = render(job)
    assert (
        Recipe(
            world=job.spec.resources.world_size,
            batch=rendered.batch_size,
            lr=rendered.effective_lr,
            epochs=rendered.epochs,
            val=str(rendered.val_protocol),
            test=str(rendered.test_protocol),
        )
        == RECIPES[name]
    )


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("guide/i3d.yaml", "ResNet3d"),
        ("guide/slowfast.yaml", "ResNet3dSlowFast"),
        ("guide/timesformer.yaml", "TimeSformer"),
        ("guide/uniformerv2.yaml", "UniFormerV2"),
    ],
)
def test_the_guides_models_start_from_the_zoos_weights_and_learn_ucf101s_first_split(name: str, family: str) -> None:
    job = read(EXAMPLES / name)
    rendered = render(job)
    assert rendered.config["model"]["backbone"]["type"] == family
    assert rendered.weights is not None
    assert f"/{job.spec.model.config}_" in rendered.weights.uri
    assert (job.spec.dataset.format, job.spec.dataset.split) == ("ucf101", 1)
    assert job.spec.training.precision == "fp32"


@pytest.mark.parametrize("name", ON_S3)
def test_data_results_and_how_it_is_let_in_are_those_of_the_other_examples(name: str) -> None:
    spec = read(EXAMPLES / name).spec
    assert spec.dataset.uri.startswith("s3://datasets/")
    assert spec.storage.uri == "s3://results/team-a"
    (container,) = pod(name)["containers"]
    keys = [{"secretRef": {"name": secret()["metadata"]["name"]}}]
    assert container.get("envFrom") == (None if spec.pods.service_account_name else keys)


def test_the_secret_names_the_keys_of_s3_and_holds_none() -> None:
    keys = secret()["stringData"]
    assert set(keys) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"}
    assert keys.pop("AWS_ENDPOINT_URL") == "https://s3.example.com"
    assert all(value.startswith("REPLACE-WITH-") for value in keys.values())


@pytest.mark.parametrize(
    ("name", "pods", "gpus"),
    [("one-gpu.yaml", 1, "1"), ("four-gpus.yaml", 1, "4"), ("two-nodes.yaml", 2, "4"), ("host-network.yaml", 2, "4")],
)
def test_gpus_become_pods_and_their_limits(name: str, pods: int, gpus: str) -> None:
    job = made(name)["Job"]["spec"]
    assert (job["completions"], job["parallelism"]) == (pods, pods)
    assert limits(name)["nvidia.com/gpu"] == gpus


def test_one_on_cpu_asks_for_no_gpu_and_fetches_nothing() -> None:
    assert limits("cpu.yaml") == {"memory": "4Gi"}
    assert render(read(EXAMPLES / "cpu.yaml")).weights is None


def test_four_gpus_come_with_cpus_for_every_process_and_its_loaders() -> None:
    job = read(EXAMPLES / "four-gpus.yaml")
    (container,) = pod("four-gpus.yaml")["containers"]
    processes = job.spec.resources.world_size
    workers = render(job).config["train_dataloader"]["num_workers"]
    assert float(container["resources"]["requests"]["cpu"]) == processes * (1 + workers)


@pytest.mark.parametrize("name", ["two-nodes.yaml", "host-network.yaml"])
def test_two_nodes_meet_through_a_service_and_stay_on_machines_of_their_own(name: str) -> None:
    assert made(name)["Service"]["metadata"]["name"] == pod(name)["subdomain"]
    (term,) = pod(name)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"


@pytest.mark.parametrize("name", sorted(set(ON_S3) - {"host-network.yaml"}))
def test_the_port_is_the_pods_own(name: str) -> None:
    (container,) = pod(name)["containers"]
    (port,) = container["ports"]
    assert "hostNetwork" not in pod(name)
    assert (port["containerPort"], "hostPort" in port) == (PORT, False)


def test_on_the_nodes_network_the_port_is_the_nodes() -> None:
    (container,) = pod("host-network.yaml")["containers"]
    (port,) = container["ports"]
    assert pod("host-network.yaml")["hostNetwork"] is True
    assert (port["containerPort"], port["hostPort"]) == (PORT, PORT)


def test_host_network_is_two_nodes_but_for_that() -> None:
    one, other = (read(EXAMPLES / name).spec for name in ("two-nodes.yaml", "host-network.yaml"))
    assert other.model_copy(update={"pods": one.pods}) == one


def test_lists_are_those_that_the_trainer_is_told() -> None:
    told = Run.model_validate_json(made("lists.yaml")["ConfigMap"]["data"]["run.json"]).data
    assert (told.format, told.num_classes, told.videos) == ("list", 101, "videos")
    assert told.train == "train_val_split/ucf101_train_split_1_videos.txt"
    assert told.val == "train_val_split/ucf101_val_split_1_videos.txt"
    assert told.test is None


def test_a_test_alone_reads_one_list_and_tests_the_zoos_weights() -> None:
    told = Run.model_validate_json(made("evaluate.yaml")["ConfigMap"]["data"]["run.json"])
    assert (told.trains, told.data.test_alone, told.data.test) == (False, True, "test.txt")
    assert told.pretrained
    assert told.pretrained.name.startswith(told.model)
