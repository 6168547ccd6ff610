"""Bad input is refused with its own message and exit code before training, and nothing is half-written."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest

from mmaction_trainer.contract.errors import ConfigFailure, DataFailure, DiskFailure, Failure, StorageFailure

from .conftest import CLIPS, Machine


def refused(machine: Machine, failure: type[Failure], *parts: str, **changes: Any) -> None:
    """Expect ``trainjob run`` to refuse with these words in its message, and no results."""
    code, output = machine.run("run", machine.job(**changes))
    assert code == failure.exit_code, output
    assert f"{failure.name}: " in output
    for part in parts:
        assert part in output
    assert not list(machine.results.rglob("manifest.json"))
    assert not list(machine.root.rglob("*.pth"))


def test_an_unknown_config_is_refused_with_the_nearest_names(machine: Machine) -> None:
    near = "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"
    refused(machine, ConfigFailure, "spec.model.config", near, model={"config": near.replace("r50", "r51")})


def test_an_override_of_a_key_that_the_product_owns_is_refused(machine: Machine) -> None:
    refused(machine, ConfigFailure, "spec.overrides.work_dir", overrides={"work_dir": "/tmp/x"})


def test_an_override_of_a_path_that_does_not_exist_is_refused_with_the_nearest(machine: Machine) -> None:
    overrides = {"model": {"backbne": {"depth": 18}}}
    refused(machine, ConfigFailure, "spec.overrides.model.backbne", "backbone", overrides=overrides)


def test_a_field_that_does_not_exist_is_refused_with_the_nearest(machine: Machine) -> None:
    refused(machine, ConfigFailure, "trainig", "training", trainig={"epochs": 3})


def a_list(machine: Machine, name: str, *lines: str) -> dict[str, Any]:
    """A data set in list format whose train list is ``lines``; its val list is good."""
    root = machine.root / name
    (root / "videos").mkdir(parents=True)
    for clip in ("part_0.mp4", "test.avi"):
        (root / "videos" / clip).write_bytes((CLIPS / clip).read_bytes())
    (root / "videos" / "broken.mp4").write_bytes((CLIPS / "part_0.mp4").read_bytes()[:40_000])
    if lines:
        (root / "train.txt").write_text("".join(f"{line}\n" for line in lines))
    (root / "val.txt").write_text("part_0.mp4 0\ntest.avi 1\n")
    return {"uri": str(root), "format": "list", "numClasses": 2}


def test_a_label_out_of_range_is_refused_with_its_line(machine: Machine) -> None:
    dataset = a_list(machine, "range", "part_0.mp4 0", "test.avi 2")
    refused(machine, DataFailure, "train.txt:2", "2", dataset=dataset)


def test_a_video_that_does_not_decode_is_refused_by_name(machine: Machine) -> None:
    dataset = a_list(machine, "broken", "part_0.mp4 0", "broken.mp4 1")
    refused(machine, DataFailure, "broken.mp4", "decode", dataset=dataset)


def test_a_missing_list_file_is_refused_by_name(machine: Machine) -> None:
    refused(machine, DataFailure, "train.txt", dataset=a_list(machine, "missing"))


def test_a_class_count_that_disagrees_is_refused_with_both_counts(machine: Machine) -> None:
    refused(machine, DataFailure, "6", "7", dataset={"numClasses": 7})


def test_storage_that_refuses_is_found_before_training(machine: Machine) -> None:
    (machine.root / "file").write_text("not a folder")
    refused(
        machine, StorageFailure, str(machine.root / "file"), storage={"uri": str(machine.root / "file" / "results")}
    )


def test_an_unreachable_s3_server_is_found_before_training(machine: Machine) -> None:
    machine.environment |= {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "access",
        "AWS_SECRET_ACCESS_KEY": "very-secret-key",
    }
    code, output = machine.run("run", machine.job(storage={"uri": "s3://results/team"}, preflight=True))
    assert code == StorageFailure.exit_code, output
    assert "s3://results/team" in output
    assert "very-secret-key" not in output


def test_weights_that_cannot_be_fetched_say_what_to_do(machine: Machine) -> None:
    refused(machine, StorageFailure, "nowhere.pth", model={"pretrained": "/nowhere.pth"})


def test_several_nodes_are_refused_on_one_machine(machine: Machine) -> None:
    refused(machine, ConfigFailure, "spec.resources.nodes", resources={"nodes": 2})


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n", "kind: Pod\n", "a: 1\n---\nb: 2\n"])
def test_a_file_that_is_no_trainjob_is_refused(machine: Machine, text: str) -> None:
    path = machine.root / "job.yaml"
    path.write_text(text)
    code, output = machine.run("validate", path)
    assert code == ConfigFailure.exit_code
    assert "job.yaml" in output
    assert "Traceback" not in output


def test_a_disk_that_fills_while_saving_leaves_no_part_of_a_checkpoint(machine: Machine) -> None:
    """The kernel refuses files beyond 2 MB, as it refuses them on a full disk; a checkpoint has 20."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))

    code, output = machine.run("run", machine.job(), preexec_fn=limit)
    assert code == DiskFailure.exit_code, output
    assert "Disk: " in output
    (folder,) = machine.state.glob("default/small/*/attempt-1/work")
    assert not [path for path in folder.iterdir() if "pth" in path.name]
    assert not list(machine.results.rglob("manifest.json"))


def test_missing_job_file_is_named(machine: Machine) -> None:
    code, output = machine.run("validate", Path("nowhere.yaml"))
    assert code == ConfigFailure.exit_code
    assert "nowhere.yaml" in output
