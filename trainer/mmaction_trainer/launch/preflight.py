"""What can be found wrong before a GPU is asked for, in a minute on one CPU."""

from __future__ import annotations

from pathlib import Path

from mmaction_trainer import data
from mmaction_trainer.contract.document import as_unicode
from mmaction_trainer.contract.gathered import Gathered
from mmaction_trainer.contract.run import Run
from mmaction_trainer.data.fetching import Report

from . import results, weights


def preflight(run: Run, run_dir: Path, cache: Path, report: Report) -> tuple[str, ...]:
    """Check results storage, the data set and the checkpoint to start from, and return the data set's warnings.

    What it leaves in storage is what the run itself leaves there first, config.py and run.json. It fetches a few
    videos of each split, and nothing of a checkpoint.

    Raises:
        Failure: all that was found wrong, as one.
    """
    warnings: tuple[str, ...] = ()
    found = Gathered()
    report(0, 0, "trying results storage")
    with found.step():
        results.try_storage(run, run_dir)
    with found.step():
        warnings = data.check(run.data, cache / "data", report).warnings
    if run.pretrained:
        report(0, 0, f"looking for {run.pretrained.name}")
        with found.step():
            weights.see(run.pretrained, cache / "weights")
    found.refuse()
    return tuple(as_unicode(warning) for warning in warnings)
