"""The API server takes every example as ``kubectl apply`` sends it, and drops nothing of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.api_server import ApiServer

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = EXAMPLES / "s3-credentials.yaml"
JOBS = sorted(path for path in EXAMPLES.rglob("*.yaml") if path != SECRET)


def name_of(path: Path) -> str:
    """A file below examples/, as a test's name."""
    return path.relative_to(EXAMPLES).as_posix()


def tried(server: ApiServer, path: Path, namespace: str) -> dict[str, Any]:
    """What would be stored of a manifest, unknown fields refused."""
    strict = ("--server-side", "--dry-run=server", "--validate=strict")
    answer = server.kubectl("apply", *strict, "--namespace", namespace, "--output", "json", "-f", path)
    stored: dict[str, Any] = json.loads(answer)
    return stored


@pytest.mark.parametrize("example", JOBS, ids=name_of)
def test_a_job_would_be_stored_whole(example: Path, server: ApiServer, namespace: str) -> None:
    given = yaml.safe_load(example.read_text(encoding="utf-8"))
    stored = tried(server, example, namespace)
    assert contains(stored, given)
    assert stored["metadata"]["namespace"] == namespace


def test_the_secret_would_hold_its_keys(server: ApiServer, namespace: str) -> None:
    given = yaml.safe_load(SECRET.read_text(encoding="utf-8"))["stringData"]
    stored = tried(server, SECRET, namespace)["data"]
    assert {key: base64.b64decode(value).decode() for key, value in stored.items()} == given


def contains(stored: Any, given: Any) -> bool:
    """Whether everything that was given is there."""
    if isinstance(given, dict):
        return isinstance(stored, dict) and all(contains(stored.get(key), value) for key, value in given.items())
    return bool(stored == given)
