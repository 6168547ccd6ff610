"""What a job has in storage once its results are there."""

from __future__ import annotations

from pathlib import Path

from mmaction_trainer.contract.checkpoints import PREFIX
from mmaction_trainer.launch.results import (
    begin,
    bring_records,
    bring_stacks,
    clear_away,
    files_below,
    outcome,
    published,
    send,
    stage,
)
from mmaction_trainer.storage import MANIFEST, open_storage, publish
from tests.run_folders import a_run


def test_nothing_stays_beside_results_that_attempts_before_left(tmp_path: Path) -> None:
    run = a_run("uid-1", port=1, results=tmp_path / "results")
    storage = open_storage(run.results_uri)
    for key in (f"{PREFIX}/1/checkpoints.json", f"{PREFIX}/1/epoch_1.pth", "logs/first/first.log", "metrics.jsonl"):
        storage.write(key, b"of the first attempt")
    (tmp_path / "metrics.jsonl").write_bytes(b"of the second")
    publish(storage, tmp_path, ["metrics.jsonl"], run.job, {})
    clear_away(run, patiently=lambda do: do())
    assert {stored.key for stored in storage.list()} == {MANIFEST, "metrics.jsonl"}
    assert storage.read("metrics.jsonl") == b"of the second"


def test_without_a_manifest_everything_stays(tmp_path: Path) -> None:
    run = a_run("uid-1", port=1, results=tmp_path / "results")
    storage = open_storage(run.results_uri)
    keys = {f"{PREFIX}/1/checkpoints.json", "logs/first/first.log"}
    for key in keys:
        storage.write(key, b"of the first attempt")
    clear_away(run, patiently=lambda do: do())
    assert {stored.key for stored in storage.list()} == keys


def test_event_files_of_attempts_that_were_gone_on_from_are_results_too(tmp_path: Path) -> None:
    run = a_run("uid-1", port=1, results=tmp_path / "results")
    first = "tensorboard/events.out.tfevents.1.first"
    open_storage(run.results_uri).write(first, b"of the first attempt")
    run_dir = tmp_path / "run"
    (run_dir / "tensorboard").mkdir(parents=True)
    (run_dir / "tensorboard" / "events.out.tfevents.2.second").write_bytes(b"of the second")
    bring_records(run, run_dir)
    assert files_below(stage(run_dir)) == [first, "tensorboard/events.out.tfevents.2.second"]


def test_results_of_an_attempt_that_could_not_say_so_are_found_while_they_are_whole(tmp_path: Path) -> None:
    run = a_run("uid-1", port=1, results=tmp_path / "results")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    for name in ("config.py", "run.json", "metrics.jsonl"):
        (run_dir / name).write_text(name)
    assert published(run) is None
    left = outcome(run, "Succeeded", seconds=7.0)
    digest = send(run, run_dir, left)
    assert published(run) == left.model_copy(update={"manifest_sha256": digest})
    assert published(a_run("uid-2", port=1, results=tmp_path / "results")) is None, "another job's"
    (tmp_path / "results" / "metrics.jsonl").unlink()
    assert published(run) is None
    begin(run, run_dir)
    assert not (tmp_path / "results" / MANIFEST).exists(), "it would stand over what is replaced from now on"


def test_where_ranks_stood_that_hung_once_stays_in_the_results(tmp_path: Path) -> None:
    run = a_run("uid-1", port=1, results=tmp_path / "results")
    storage = open_storage(run.results_uri)
    storage.write("logs/stacks-attempt-1-rank-0.log", b"it stood here")
    storage.write("logs/launcher.log", b"of the first attempt")
    run_dir = tmp_path / "run"
    (run_dir / "logs").mkdir(parents=True)
    bring_stacks(run, run_dir)
    assert files_below(stage(run_dir)) == ["logs/stacks-attempt-1-rank-0.log"]
