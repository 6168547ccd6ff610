"""A training that goes on without videos that are corrupt, up to a share of them.

In the place of one that cannot be used, the next one of the list is drawn as it would be in that epoch. So which clips
a training sees follows from seed, epoch and videos alone, as ever: neither a resume nor the number of processes changes
it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmaction_trainer.contract.document import as_unicode
from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.skipping import NOTED, Skipped

from .sequence import Drawn, SeededPipeline

FIRST = 3
"""Videos that a refusal names."""


class SkippingPipeline(SeededPipeline):
    """A pipeline that takes another video for one that is corrupt.

    Args:
        pipeline: as the training has it.
        dataset: the videos.
        share: of them that may be corrupt.
    """

    def __init__(self, pipeline: SeededPipeline, dataset: Any, share: float) -> None:
        super().__init__(pipeline.pipeline, pipeline.seed)
        self.dataset, self.share = dataset, share

    def __call__(self, sample: dict[str, Any]) -> Any:
        """Draw a video, or the first one after it that can be used.

        Raises:
            DataFailure: more are corrupt than the share allows.
        """
        while True:
            try:
                return super().__call__(sample)
            except DataFailure as failure:
                note(Skipped(video=as_unicode(failure.where), reason=as_unicode(failure.found)))
                check(len(self.dataset), self.share)
            index = sample["sample_idx"]
            following = (int(index) + 1) % len(self.dataset)
            sample = self.dataset.get_data_info(Drawn(following, getattr(index, "epoch", 0)))


def skip(runner: Any, share: float) -> None:
    """Have a runner's training skip corrupt videos; its validation and test never do."""
    dataset = runner.train_loop.dataloader.dataset
    dataset.pipeline = SkippingPipeline(dataset.pipeline, dataset, share)


def note(skipped: Skipped) -> None:
    """Note a video, and say so if no process has before."""
    name = hashlib.sha256(skipped.video.encode()).hexdigest()[:16]
    path, beside = Path(NOTED) / f"{name}.json", Path(NOTED) / f"{name}.{os.getpid()}"
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    skipped.write(beside)
    with suppress(FileExistsError):
        os.link(beside, path)  # unlike a rename, it fails for all but the first
        print(f"warning: a corrupt video is skipped: {skipped.video}: {skipped.reason}", flush=True)
    beside.unlink()


def noted() -> list[Skipped]:
    """All that were noted, by their names."""
    return sorted(map(Skipped.read, Path(NOTED).glob("*.json")), key=lambda each: each.video)


def check(videos: int, share: float) -> None:
    """See that no more videos were skipped than may be.

    Raises:
        DataFailure: there were.
    """
    found = noted()
    if len(found) <= share * videos:
        return
    first = "; ".join(f"{each.video}: {each.reason}" for each in found[:FIRST])
    raise DataFailure(
        "spec.dataset.maxSkippedShare",
        f"{len(found):,} of {videos:,} training videos are corrupt ({first}{'; ...' if len(found) > FIRST else ''})",
        accepted=f"{share:.2%} of them at most",
        do="Replace them, take them off the lists, or raise the share.",
    )
