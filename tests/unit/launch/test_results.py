"""What a job has in storage once its results are there."""

from __future__ import annotations

from pathlib import Path

from mmaction_trainer.contract.checkpoints import PREFIX
from mmaction_trainer.launch.results import clear_away
from mmaction_trainer.storage import MANIFEST, open_storage, publish
from tests.run_folders import a_run


def test_nothing_stays_beside_results_that_attempts_before_left(tmp_path: Path) -> None:
    run = a_run("uid-1", port=1, results=tmp_path / "results")
    storage = open_storage(run.results_uri)
    for key in (f"{PREFIX}/1/checkpoints.json", f"{PREFIX}/1/epoch_1.pth", "logs/first/first.log", "metrics.jsonl"):
        storage.write(key, b"of the first attempt")
    (tmp_path / "metrics.jsonl").write_bytes(b"of the second")
    publish(storage, tmp_path, ["metrics.jsonl"], run.job, {})
    clear_away(run)
    assert {stored.key for stored in storage.list()} == {MANIFEST, "metrics.jsonl"}
    assert storage.read("metrics.jsonl") == b"of the second"


def test_without_a_manifest_everything_stays(tmp_path: Path) -> None:
    run = a_run("uid-1", port=1, results=tmp_path / "results")
    storage = open_storage(run.results_uri)
    keys = {f"{PREFIX}/1/checkpoints.json", "logs/first/first.log"}
    for key in keys:
        storage.write(key, b"of the first attempt")
    clear_away(run)
    assert {stored.key for stored in storage.list()} == keys
