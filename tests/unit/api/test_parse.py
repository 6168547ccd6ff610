"""What a TrainJob may say, and what its author is told where it says something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmaction_operator.api import TrainJob, parse, read
from mmaction_operator.api.status import Condition, TrainJobStatus
from mmaction_trainer.contract.errors import ConfigFailure

Manifest = Callable[[dict[str, Any]], dict[str, Any]]


def complaint(document: Any) -> str:
    with pytest.raises(ConfigFailure) as failure:
        parse(document, "job.yaml")
    return str(failure.value)


def test_a_manifest_is_accepted(accepted_case: dict[str, Any], manifest: Manifest) -> None:
    assert parse(manifest(accepted_case["set"])).kind == "TrainJob"


def test_a_manifest_is_refused_with_the_field_named(refused_case: dict[str, Any], manifest: Manifest) -> None:
    message = complaint(manifest(refused_case["set"]))
    assert message.startswith(f"job.yaml: {refused_case['at']}: ")
    assert refused_case["says"] in message
    assert "\n" not in message


def test_a_number_that_no_float_holds_is_refused(manifest: Manifest) -> None:
    assert "spec.overrides.seed: " in complaint(manifest({"spec.overrides": {"seed": 10**309}}))


def test_every_wrong_field_has_a_line_of_its_own_under_their_number(manifest: Manifest) -> None:
    changes = {
        "spec.training": {"epochs": 0, "lr": "1"},
        "spec.dataset": {"uri": "d", "format": "folders", "lists": {}},
    }
    assert complaint(manifest(changes)).splitlines() == [
        "job.yaml: 4 fields are wrong",
        "  spec.dataset.numClasses: is required unless format is ucf101, which has 101 classes",
        "  spec.dataset.lists: is for the formats list and csv; ucf101 and folders have fixed names",
        "  spec.training.epochs: found 0; accepted: an integer from 1 to 10000",
        '  spec.training.lr: found "1" (text); accepted: a number from 0 to 100; write it without quotes',
    ]


def test_of_another_kind_of_object_only_the_kind_is_worth_a_line(manifest: Manifest) -> None:
    message = complaint({"apiVersion": "mmaction.dev/v1alpha1", "kind": "Deployment", "spec": {"replicas": 1}})
    assert message == 'job.yaml: kind: found "Deployment"; accepted: TrainJob'


def test_another_version_of_the_api_is_refused_by_name(manifest: Manifest) -> None:
    message = complaint(manifest({"apiVersion": "mmaction.dev/v9"}))
    assert message == 'job.yaml: apiVersion: found "mmaction.dev/v9"; accepted: mmaction.dev/v1alpha1'


@pytest.mark.parametrize(("document", "found"), [([], "list"), ("x", "str"), (None, "NoneType")])
def test_what_is_no_object_is_no_trainjob(document: object, found: str) -> None:
    assert complaint(document) == f"job.yaml: found {found}; accepted: one TrainJob manifest"


def test_a_long_value_is_cut_and_the_content_of_a_list_is_not_shown(manifest: Manifest) -> None:
    long = complaint(manifest({"spec.model.config": "-" * 300}))
    assert f'found "{"-" * 56}...; accepted' in long
    assert "secret" not in complaint(manifest({"spec.storage.uri": ["secret"]}))


def test_an_unknown_field_is_refused_without_showing_its_value(manifest: Manifest) -> None:
    message = complaint(manifest({"spec.storage": {"uri": "s3://a", "secretKey": "hunter2"}}))
    assert message.startswith("job.yaml: spec.storage.secretKey: is not a field here")
    assert "hunter2" not in message


def test_an_item_of_a_list_is_named_by_its_number(manifest: Manifest) -> None:
    message = complaint(manifest({"status": {"nodes": ["a", 7]}}))
    assert message.startswith("job.yaml: status.nodes[1]: found 7 (an integer)")


def test_overrides_keep_what_is_nested_in_them(manifest: Manifest) -> None:
    overrides = {
        "model": {"cls_head": {"loss": None, "_delete_": True}},
        "pipeline": [{"type": "Resize", "scale": [-1, 256]}],
    }
    job = parse(manifest({"spec.overrides": overrides}))
    assert job.spec.overrides == overrides
    assert job.model_dump(mode="json", by_alias=True)["spec"]["overrides"] == overrides


def test_null_leaves_a_field_at_its_default(manifest: Manifest) -> None:
    changes = {"spec.training": {"seed": None, "lr": None}, "spec.resources": None, "spec.overrides": None}
    assert parse(manifest(changes)) == parse(manifest({}))


def test_metadata_that_the_product_does_not_read_is_passed_over(manifest: Manifest) -> None:
    job = parse(manifest({"metadata.annotations": {"a": "b"}, "metadata.uid": "1-2", "metadata.generation": 3}))
    assert (job.metadata.uid, job.metadata.generation) == ("1-2", 3)


def test_a_status_of_a_newer_version_can_still_be_read(manifest: Manifest) -> None:
    status = {"phase": "Running", "invented": 1, "progress": {"epoch": 3, "later": {}}}
    job = parse(manifest({"status": status}))
    assert job.status is not None
    assert job.status.progress is not None
    assert job.status.progress.epoch == 3


def test_a_status_comes_back_as_it_was_written(manifest: Manifest) -> None:
    condition = {
        "type": "Validated",
        "status": "True",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "reason": "Rendered",
        "message": "",
    }
    job = parse(manifest({"status": {"phase": "Running", "conditions": [condition]}}))
    assert isinstance(job.status, TrainJobStatus)
    assert isinstance(job.status.conditions[0], Condition)
    assert job.status.model_dump(mode="json", by_alias=True, exclude_none=True)["conditions"] == [condition]


def test_a_file_is_read(tmp_path: Path, manifest: Manifest) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(manifest({"spec.dataset.uri": "./Übungen"}), allow_unicode=True), encoding="utf-8")
    job = read(file)
    assert isinstance(job, TrainJob)
    assert job.spec.dataset.uri == "./Übungen"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ": found 0 documents; accepted: one TrainJob manifest"),
        (b"a: 1\n---\nb: 2\n", ": found 2 documents; accepted: one TrainJob manifest"),
        (b"a: 1\nb: c: d\n", ":2: cannot be read as YAML: mapping values are not allowed here"),
        (b"a: 1\nspec:\n  a: 1\n  a: 2\n", ":4: cannot be read as YAML: the key 'a' stands here twice"),
        (b"a: \x01", ": cannot be read as YAML: "),
        (b"a: \xff", ": cannot be read: "),
    ],
)
def test_a_file_that_holds_no_manifest_is_refused_with_its_line(content: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigFailure) as failure:
        read(file)
    assert str(failure.value).startswith(f"{file}{says}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigFailure, match=r"none\.yaml: cannot be read: .*No such file"):
        read(tmp_path / "none.yaml")
