"""``python -m mmaction_trainer.demo``: from where results and a video are to its labels.

Lines of standard output say what is being done. The last one is a document: what was found, or why nothing was, and
then the exit code is that of the failure's class. What libraries print goes to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.demo import Demo, Label
from mmaction_trainer.contract.document import as_unicode
from mmaction_trainer.contract.errors import DataFailure, Failure
from mmaction_trainer.contract.result import FailureReport
from mmaction_trainer.data.cache import Cache
from mmaction_trainer.data.decoding import opened
from mmaction_trainer.data.fetching import fetch, home
from mmaction_trainer.evaluate import BEST
from mmaction_trainer.launch.commandline import default_cache
from mmaction_trainer.launch.weights import apart
from mmaction_trainer.report.annotated import annotate
from mmaction_trainer.storage import open_storage

from .trained import Trained, classes_in

Tell = Callable[[str], None]


def main() -> NoReturn:
    """Run the command line and exit."""
    parser = argparse.ArgumentParser(prog="python -m mmaction_trainer.demo", description=__doc__)
    parser.add_argument("results", help="URI or folder of a run's results")
    parser.add_argument("video", help="file or URI")
    parser.add_argument("out", type=Path, help="where the annotated video goes")
    options = parser.parse_args()
    stdout = sys.stdout

    def tell(line: str) -> None:
        print(line, file=stdout, flush=True)

    with contextlib.redirect_stdout(sys.stderr):
        try:
            told, code = demo(options.results, options.video, options.out, tell).model_dump_json(by_alias=True), 0
        except Exception as error:
            failure = explained(error)
            told, code = FailureReport.of(failure).model_dump_json(by_alias=True), failure.exit_code
    tell(told)
    sys.stderr.flush()
    os._exit(code)  # Python's own end aborts, seldom, where decord's threads still run; see runtime.worker.leave


def demo(results: str, video: str, out: Path, tell: Tell) -> Demo:
    """Score a video, and write it with its labels.

    Raises:
        Failure: results, video or disk are not as they should be.
    """
    cache = default_cache()
    trained = Trained.at(open_storage(results))
    file = brought(video, cache)
    if reason := opened(file).fault:
        raise DataFailure(video, f"does not decode: {reason}", accepted="a video that decord decodes")
    tell(f"fetching {trained.checkpoint}")
    folder, checkpoint = trained.bring(cache)
    tell("loading the model")
    from . import scoring  # torch, which takes seconds

    tell(f"scoring {trained.run.test_protocol} views on {scoring.device()}")
    scores = scoring.scores_of(file, folder / layout.CONFIG, checkpoint)
    best = scores.argsort()[::-1][:BEST]
    names = [as_unicode(name) for name in classes_in(folder)]
    labels = tuple(Label(name=names[number], score=float(scores[number])) for number in best)
    tell(f"drawing {out.name}")
    annotate(file, out, [(label.name, label.score) for label in labels])
    return Demo(
        video=as_unicode(video),
        job=f"{trained.run.job.namespace}/{trained.run.job.name}",
        checkpoint=trained.checkpoint,
        protocol=trained.run.test_protocol,
        device=scoring.device(),
        labels=labels,
        annotated=as_unicode(str(out)),
    )


def brought(video: str, cache: Path) -> Path:
    """A video on this machine: where it is, or fetched into the cache of all runs' videos.

    Raises:
        DataFailure: there is none.
        StorageFailure: it does not come.
    """
    folder, name = apart(video)
    storage = open_storage(folder)
    stored = storage.stat(name)
    if stored is None:
        raise DataFailure(video, "no such file")
    videos = Cache(cache / "data")
    here = home(storage, videos.root)
    fetch(storage, {name: stored}, here, videos, lambda done, total, what: None)
    return here / name


def explained(error: Exception) -> Failure:
    """The failure that an exception stands for; a traceback for whoever looks into one that nobody foresaw."""
    if isinstance(error, Failure):
        return error
    traceback.print_exc()
    from mmaction_trainer.runtime.failures import classify

    return classify(error)
