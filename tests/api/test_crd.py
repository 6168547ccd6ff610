"""The API server takes the CustomResourceDefinition, keeps what a TrainJob says, and refuses what the models refuse."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from mmaction_operator.api import parse
from tests.cluster.api_server import ApiServer
from tests.trainjob_cases import changed, rule_name, rules

from .conftest import NAMES, Create, jobs

STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "phase": "Running",
    "conditions": [
        {
            "type": "Validated",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-25T00:00:00Z",
            "reason": "Rendered",
            "message": "the config renders",
        }
    ],
    "attempt": 2,
    "port": 20001,
    "failures": [
        {
            "attempt": 1,
            "reason": "Unknown",
            "message": "KeyError: nonsense",
            "rank": 3,
            "pod": "x-1-0",
            "node": "node-1",
            "lastLines": ["KeyError: 'nonsense'"],
            "port": 20000,
            "ended": "2026-11-25T00:00:00Z",
        }
    ],
    "nodes": ["node-1", "node-2"],
    "effectiveLR": 0.00125,
    "configSHA256": "0" * 64,
    "progress": {
        "epoch": 3,
        "epochs": 8,
        "iteration": 10,
        "iterations": 20,
        "loss": 1.5,
        "top1": 0.25,
        "best": {"top1": 0.5, "epoch": 2},
        "eta": "2h13m",
        "observedAt": "2026-11-25T00:00:00Z",
    },
    "results": {
        "uri": "s3://results/team-a/default/x/0a",
        "manifestSHA256": "1" * 64,
        "val": {"protocol": {"clips": 1, "crops": 1}, "top1": 0.5, "top5": 0.75},
        "test": {"protocol": {"clips": 10, "crops": 3}, "top1": 0.625, "top5": 1},
    },
}


def test_it_is_accepted_with_strict_validation_and_nothing_in_it_is_lost(
    server: ApiServer, definition: dict[str, Any]
) -> None:
    other = deepcopy(definition)
    other["metadata"]["name"] = "trainjobs.strict.mmaction.dev"
    other["spec"]["group"] = "strict.mmaction.dev"
    created = server.request("POST", f"{NAMES}?fieldValidation=Strict", other)
    assert created.status == 201, created.body
    assert created.body["spec"]["versions"] == definition["spec"]["versions"]
    assert "Warning" not in created.body
    server.request("DELETE", f"{NAMES}/{other['metadata']['name']}")


def test_it_is_established_and_its_schema_structural(server: ApiServer, definition: dict[str, Any]) -> None:
    stored = server.request("GET", f"{NAMES}/{definition['metadata']['name']}").body
    conditions = {condition["type"]: condition["status"] for condition in stored["status"]["conditions"]}
    assert (conditions["NamesAccepted"], conditions["Established"]) == ("True", "True")
    assert conditions.get("NonStructuralSchema", "False") == "False"


def test_what_the_models_accept_is_stored_whole_with_their_defaults(
    accepted_case: dict[str, Any], create: Create
) -> None:
    manifest = changed(accepted_case["set"])
    created = create(deepcopy(manifest))
    assert created.status == 201, created.body
    stored = created.body["spec"]
    assert stored["overrides"] == (manifest["spec"].get("overrides") or {})
    del stored["overrides"]
    assert stored == defaulted(manifest)


def test_what_the_models_refuse_is_refused_by_name(refused_case: dict[str, Any], create: Create) -> None:
    refused = create(changed(refused_case["set"]))
    assert refused.status in (400, 422), refused.body
    assert refused_case["at"].rpartition(".")[2] in refused.body["message"]


def test_a_rule_of_the_models_refuses_in_its_own_words(ruled_out_case: dict[str, Any], create: Create) -> None:
    messages = [rule.message for _, rule in rules() if rule_name(rule) == ruled_out_case["rule"] and rule.holds]
    refused = create(changed(ruled_out_case["set"]))
    assert refused.status == 422
    assert any(message in refused.body["message"] for message in messages)


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"epochs": 2}},
        {"resources": {"nodes": 2}},
        {"storage": {"uri": "s3://results/team-b"}},
        {"overrides": {"model": {"cls_head": {"dropout": 0.5}}}},
        {"overrides": {}},
        {"activeDeadlineSeconds": 60},
        {"pods": {"affinity": {"nodeAffinity": {"b": [{"c": 1}]}}}},
    ],
    ids=[
        "a value",
        "a default",
        "the storage",
        "a renamed key of overrides",
        "no overrides",
        "a limit",
        "deep in affinity",
    ],
)
def test_the_spec_cannot_change_once_the_job_exists(
    change: dict[str, Any], create: Create, server: ApiServer, namespace: str
) -> None:
    overrides = {"model": {"cls_head": {"dropout_ratio": 0.5}}}
    pods = {"affinity": {"nodeAffinity": {"a": [{"b": 1}]}}}
    job = create(changed({"spec.training": {"epochs": 1}, "spec.overrides": overrides, "spec.pods": pods})).body
    path = f"{jobs(namespace)}/{job['metadata']['name']}"
    other = deepcopy(job)
    other["spec"] |= change
    refused = server.request("PUT", path, other)
    assert refused.status == 422, refused.body
    assert "spec cannot change once the job exists" in refused.body["message"]

    other["spec"]["suspend"] = True
    refused = server.request("PUT", path, other)
    if "overrides" not in change:  # see TrainJobSpec.rules
        assert (refused.status, "but for suspend" in refused.body.get("message", "")) == (422, True), refused.body

    for suspended in (True, False) if "overrides" not in change else ():
        job["spec"]["suspend"] = suspended
        answer = server.request("PUT", path, job)
        assert answer.status == 200, answer.body
        job = answer.body
    job = server.request("GET", path).body
    job["metadata"]["labels"] = {"team": "a"}
    assert server.request("PUT", path, job).status == 200


def test_a_status_is_stored_whole_and_only_by_its_own_way(create: Create, server: ApiServer, namespace: str) -> None:
    job = create(changed({})).body
    path = f"{jobs(namespace)}/{job['metadata']['name']}"
    job["status"] = deepcopy(STATUS)
    stored = server.request("PUT", path, job).body
    assert "status" not in stored
    stored["status"] = deepcopy(STATUS)
    stored["spec"]["training"]["epochs"] = 7
    written = server.request("PUT", f"{path}/status?fieldValidation=Strict", stored)
    assert written.status == 200, written.body
    assert written.body["status"] == STATUS
    assert written.body["spec"] == job["spec"]


def test_kubectl_shows_a_jobs_columns(create: Create, server: ApiServer, namespace: str) -> None:
    name = create(changed({})).body["metadata"]["name"]
    server.request(
        "PATCH",
        f"{jobs(namespace)}/{name}/status",
        {"status": STATUS},
        **{"Content-Type": "application/merge-patch+json"},
    )
    heading, row = server.kubectl("get", "trainjobs", "--namespace", namespace).splitlines()
    assert heading.split() == ["NAME", "PHASE", "EPOCH", "TOP1", "BEST", "PORT", "ETA", "AGE"]
    assert row.split()[:-1] == [name, "Running", "3", "0.25", "0.5", "20001", "2h13m"]


def test_kubectl_explains_every_field(server: ApiServer) -> None:
    told = server.kubectl("explain", "trainjob.spec.training.lr")
    assert "The learning rate that training uses" in told


def defaulted(manifest: dict[str, Any]) -> dict[str, Any]:
    """The spec with the models' defaults, without overrides."""
    spec = parse(manifest).spec
    return spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"overrides"})
