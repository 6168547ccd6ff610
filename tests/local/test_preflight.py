"""The preflight as the first step of a run, and by itself."""

from __future__ import annotations

import re

from mmaction_trainer.contract.errors import DataFailure

from .conftest import Machine


def leak(machine: Machine) -> dict[str, object]:
    """A data set whose test list has a video of train."""
    lists = machine.root / "leaky" / "annotations"
    lists.mkdir(parents=True)
    for path in (machine.dataset / "annotations").iterdir():
        (lists / path.name).write_bytes(path.read_bytes())
    train = (lists / "trainlist01.txt").read_text().split()[0]
    (lists / "testlist01.txt").write_text(f"{train}\n")
    (machine.root / "leaky" / "videos").symlink_to(machine.dataset / "videos")
    return {"uri": str(machine.root / "leaky")}


def test_a_run_that_its_preflight_refuses_takes_no_port_and_tells_errors_apart(machine: Machine) -> None:
    job = machine.job(preflight=True, dataset=leak(machine), training={"lr": 9.0})
    code, output = machine.run("run", job)
    assert code == DataFailure.exit_code, output
    assert re.search(r"check .* leakage failed decoding passed", output), output
    assert "Data: annotations/testlist01.txt:1: " in output
    assert "warning: spec.training.lr is 9" in output
    assert "attempt 1" not in output
    assert [folder.name for folder in machine.state.glob("default/small/*/*")] == ["preflight"]
    assert not list(machine.results.rglob("*.*"))
    assert not list((machine.root / "leases").rglob("*.json"))


def test_leakage_can_be_taken_by_the_job_that_says_so(machine: Machine) -> None:
    job = machine.job(preflight=True, dataset={**leak(machine), "leakage": "warn"})
    code, output = machine.run("run", job)
    assert code == 0, output
    assert "small: warning: annotations/testlist01.txt:1: " in output
    assert output.index("Preflight passed") < output.index("attempt 1: port")
    assert not list(machine.state.rglob("*.json"))


def test_a_preflight_alone_trains_nothing_and_leaves_nothing(machine: Machine) -> None:
    code, output = machine.run("preflight", machine.job(), "--full")
    assert code == 0, output
    assert "lists passed train 12, val 6, test 6 videos of 6 classes" in output
    assert "decoding passed 18 of 18 videos decoded" in output
    assert not list(machine.state.rglob("*.*"))
    assert not list((machine.results / "default" / "small").iterdir())
