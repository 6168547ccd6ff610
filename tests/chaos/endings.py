"""What jobs have left in storage, held to what the product promises of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmaction_trainer.storage import open_storage
from mmaction_trainer.storage.published import read_manifest, verify
from tests.cluster.s3 import S3Server, client

from .invariants import of_record, of_status, of_storage

RESULTS = "results"
"""The bucket."""


@dataclass(frozen=True)
class Left:
    """What does not hold of a job's results, and how much is on record in them."""

    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def of_success(name: str, epochs: int, status: Mapping[str, Any]) -> Left:
    """What a job left that ended well, from where its status says that it is."""
    results = status.get("results", {})
    storage = open_storage(results["uri"])
    held = {stored.key for stored in storage.list()}
    if "manifest.json" not in held:
        return Left([f"{name} has succeeded, and there is no manifest at {results['uri']}"])
    problems = [f"{name}: {problem}" for problem in verify(storage)]
    problems += of_storage(name, held, {entry.path for entry in read_manifest(storage).objects})
    if hashlib.sha256(storage.read("manifest.json")).hexdigest() != results.get("manifestSHA256"):
        problems.append(f"{name} has another manifest than its status says")
    lines = [json.loads(line) for line in storage.read("metrics.jsonl").decode().splitlines()]
    problems += [*of_record(name, lines, epochs), *of_status(name, status, lines)]
    return Left(problems, {"epochs": epochs, "validations": sum(line["stage"] == "val" for line in lines)})


@dataclass(frozen=True, order=True)
class Upload:
    """An upload in parts that nobody has completed or given up: its job's name, and its key."""

    job: str
    key: str


def unfinished_uploads(server: S3Server, namespace: str) -> list[Upload]:
    """Those of a namespace's jobs."""
    found = client(server).list_multipart_uploads(Bucket=RESULTS).get("Uploads", [])
    split = [upload["Key"].split("/") for upload in found]  # of s3://results/team
    return sorted(Upload(parts[2], "/".join(parts)) for parts in split if parts[1] == namespace)
