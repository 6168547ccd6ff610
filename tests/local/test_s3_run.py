"""A run with its videos in S3 and its results in S3, on a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import StorageFailure
from tests.cluster.s3 import S3Server, start_rclone

from .conftest import Machine


@pytest.fixture
def server(tmp_path: Path, dataset: Path) -> Iterator[S3Server]:
    folder = tmp_path / "buckets"
    shutil.copytree(dataset, folder / "datasets" / "six")  # before the start: rclone remembers which buckets there are
    with start_rclone(folder) as server:
        yield server


def test_results_in_s3_download_verify_and_show_one_changed_byte(machine: Machine, server: S3Server) -> None:
    machine.environment |= server.environment()
    server.bucket("results")
    job = machine.job(dataset={"uri": "s3://datasets/six"}, storage={"uri": "s3://results/team-a"})
    code, output = machine.run("run", job)
    assert code == 0, output

    (place,) = (server.folder / "results" / "team-a" / "default" / "small").iterdir()
    uri = f"s3://results/team-a/default/small/{place.name}"
    assert uri in output
    code, listing = machine.run("results", "list", "s3://results/team-a")
    assert (code, place.name in listing, "complete" in listing) == (0, True, True)
    code, output = machine.run("results", "get", uri, machine.root / "fetched")
    assert code == 0, output
    assert (machine.root / "fetched" / "config.py").read_bytes() == (place / "config.py").read_bytes()
    assert machine.run("results", "verify", uri)[0] == 0
    video = (place / "data" / "test.txt").read_text().split(" ")[0]
    code, output = machine.run("demo", uri, f"s3://datasets/six/videos/{video}", "--out", "shown.mp4")
    assert code == 0, output
    assert (machine.root / "shown.mp4").is_file()

    (checkpoint,) = place.glob("checkpoints/best_*.pth")
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    code, output = machine.run("results", "verify", uri)
    assert code == StorageFailure.exit_code
    assert f"checkpoints/{checkpoint.name} has sha256" in output
    code, output = machine.run("results", "get", uri, machine.root / "again")
    assert code == StorageFailure.exit_code
    assert not (machine.root / "again").exists()


def test_a_wrong_secret_is_found_before_training_and_not_shown(machine: Machine, server: S3Server) -> None:
    server.bucket("results")
    machine.environment |= server.environment() | {"AWS_SECRET_ACCESS_KEY": "a-wrong-secret"}
    code, output = machine.run("run", machine.job(storage={"uri": "s3://results/team-a"}))
    assert code == StorageFailure.exit_code, output
    assert "s3://results/team-a" in output
    assert "a-wrong-secret" not in output
    assert not list(machine.root.rglob("*.pth"))
