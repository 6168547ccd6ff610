"""What a platform team says for jobs that say nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mmaction_operator.api import TrainJob, parse
from mmaction_operator.api.defaults import TeamDefaults, parse_defaults
from mmaction_trainer.contract.errors import ConfigFailure
from tests.trainjob_cases import changed

GPU = {"key": "gpu", "operator": "Exists", "value": None, "effect": None, "tolerationSeconds": None}


def applied(defaults: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The spec of a job in the namespace team-a, as a manifest has it."""
    manifest = changed({f"spec.{name}": value for name, value in changes.items()})
    manifest["metadata"]["namespace"] = "team-a"
    job = parse_defaults(json.dumps(defaults), "DEFAULTS").applied_to(parse(manifest))
    spec: dict[str, Any] = job.spec.model_dump(mode="json", by_alias=True)
    return spec


@pytest.mark.parametrize(
    ("of_team", "of_job", "path", "expected"),
    [
        ({"pods": {"image": "team"}}, {}, "pods.image", "team"),
        ({"pods": {"image": "team"}}, {"pods": {"image": "job"}}, "pods.image", "job"),
        ({"pods": {"hostNetwork": True}}, {}, "pods.hostNetwork", True),
        ({"pods": {"hostNetwork": True}}, {"pods": {"hostNetwork": False}}, "pods.hostNetwork", False),
        (
            {"pods": {"labels": {"a": "1", "b": "1"}}},
            {"pods": {"labels": {"b": "2"}}},
            "pods.labels",
            {"a": "1", "b": "2"},
        ),
        ({"pods": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}, {}, "pods.tolerations", [GPU]),
        (
            {"pods": {"imagePullSecrets": [{"name": "team"}, {"name": "both"}]}},
            {"pods": {"imagePullSecrets": [{"name": "both"}, {"name": "job"}]}},
            "pods.imagePullSecrets",
            [{"name": "team"}, {"name": "both"}, {"name": "job"}],
        ),
        (
            {"pods": {"cache": {"persistentVolumeClaim": "videos"}}},
            {"pods": {"cache": {"hostPath": "/scratch"}}},
            "pods.cache",
            {"persistentVolumeClaim": None, "hostPath": "/scratch", "limit": None},
        ),
        ({"pods": {"affinity": {"nodeAffinity": {}}}}, {}, "pods.affinity", {"nodeAffinity": {}}),
        ({"resources": {"memoryPerNode": "64Gi"}}, {"resources": {"nodes": 2}}, "resources.memoryPerNode", "64Gi"),
        ({"storage": {"credentialsSecret": "s3"}}, {}, "storage.credentialsSecret", "s3"),
        ({"ttlSecondsAfterFinished": 60}, {}, "ttlSecondsAfterFinished", 60),
        ({"ttlSecondsAfterFinished": 60}, {"ttlSecondsAfterFinished": 0}, "ttlSecondsAfterFinished", 0),
    ],
)
def test_a_jobs_word_holds_before_its_teams(
    of_team: dict[str, Any], of_job: dict[str, Any], path: str, expected: Any
) -> None:
    found: Any = applied({"everywhere": of_team}, **of_job)
    for name in path.split("."):
        found = found[name]
    assert found == expected


def test_a_namespaces_word_holds_before_that_of_the_cluster_and_for_no_other_namespace() -> None:
    everywhere = {"pods": {"schedulerName": "default", "priorityClassName": "low"}}
    namespaces = {"team-a": {"pods": {"priorityClassName": "high"}}, "team-b": {"pods": {"schedulerName": "gang"}}}
    pods = applied({"everywhere": everywhere, "namespaces": namespaces})["pods"]
    assert (pods["schedulerName"], pods["priorityClassName"]) == ("default", "high")


def test_without_defaults_a_job_is_what_it_says() -> None:
    job = parse(changed({}))
    assert parse_defaults("", "DEFAULTS").applied_to(job) == job
    assert TeamDefaults().applied_to(job) == job


def test_everything_that_a_team_may_say_is_a_field_of_a_job() -> None:
    def fields(model: Any) -> dict[str, Any]:
        return {name: field.annotation for name, field in model.model_fields.items()}

    spec = fields(TrainJob.model_fields["spec"].annotation)
    for name, section in fields(TeamDefaults.model_fields["everywhere"].annotation).items():
        assert name in spec
        if hasattr(section, "model_fields"):
            assert fields(section).items() <= fields(spec[name]).items()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"everywhere": {"pods": {"nodeSelectr": {}}}}', "everywhere.pods.nodeSelectr: is not a field here; did you"),
        ('{"namespaces": {"team-a": {"pods": {"image": 1}}}}', "namespaces.team-a.pods.image: found 1 (an integer)"),
        ('{"everywhere": {"pods": {"cache": {}}}}', "everywhere.pods.cache.hostPath: give it or"),
        ("{", 'found "{" (text); accepted: an object with everywhere, namespaces'),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(ConfigFailure, match="MMACTION_DEFAULTS: ") as failure:
        parse_defaults(text, "MMACTION_DEFAULTS")
    assert said in str(failure.value)
