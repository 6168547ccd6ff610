"""Class folders: ``{train,val,test}/<class>/<video>``. The folders of train are the classes, in alphabetical order.

A test alone needs no train: the folders of the tested split are the classes then. They are the same classes, by the
same numbers, as there have to be as many as the model has.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from mmaction_trainer.contract.errors import DataFailure
from mmaction_trainer.contract.run import DataSource

from .annotations import Annotations, Sample
from .findings import Finding, refuse
from .holdings import Holdings

VIDEO = re.compile(r"(.*/)?[^./][^/]*\.(3gp|avi|flv|m4v|mkv|mov|mp4|mpeg|mpg|mts|ogv|ts|vob|webm|wmv)", re.I | re.S)
"""Names of videos: not hidden, and with an extension that decord's ffmpeg knows."""
SPLITS = ("train", "val", "test")


def read_folders(holdings: Holdings, source: DataSource) -> Annotations:
    """Read the splits from where videos lie; val stands in for a missing test, and test for a missing val.

    Raises:
        DataFailure: train, or both others, hold no video; a video lies in no class folder, or in an unknown one.
    """
    videos = {split: videos_of(holdings, split) for split in SPLITS}
    val, test = (videos[split] or videos[other] for split, other in (("val", "test"), ("test", "val")))
    if not test or not (videos["train"] or source.test_alone):
        raise DataFailure(
            "val" if videos["train"] or source.test_alone else "train",
            f"no videos there; {holdings.glance('')}",
            accepted="videos in train/<class>/, and in val/<class>/ or test/<class>/",
        )
    named_by = "train" if videos["train"] else "test" if videos["test"] else "val"
    classes = tuple(sorted({path.split("/")[1] for path in videos[named_by]}))
    ids = {name: number for number, name in enumerate(classes)}
    return Annotations(
        root="",
        train=() if source.test_alone else samples(videos["train"], ids),
        val=() if source.test_alone else samples(val, ids),
        test=samples(test, ids),
        classes=classes,
        named_by=f"{named_by}/",
        warnings=left_out(holdings),
    )


def videos_of(holdings: Holdings, split: str) -> tuple[str, ...]:
    """The videos of a split, sorted."""
    videos = sorted(path for path in holdings.sizes("") if path.startswith(f"{split}/") and VIDEO.fullmatch(path))
    refuse(
        [Finding(path, "lies in no class folder") for path in videos if path.count("/") == 1],
        accepted=f"{split}/<class>/<video>",
    )
    return tuple(videos)


def samples(paths: tuple[str, ...], ids: Mapping[str, int]) -> tuple[Sample, ...]:
    """Label each video with its class folder."""
    strange = [path for path in paths if path.split("/")[1] not in ids]
    refuse(
        [Finding(path, f"class {path.split('/')[1]!r} is unknown") for path in strange],
        accepted="the class folders of train/",
        do="Add videos of the class to train/, or take its folder away.",
    )
    return tuple(Sample(path, ids[path.split("/")[1]], path) for path in paths)


def left_out(holdings: Holdings) -> tuple[str, ...]:
    """A warning about files that are no videos by their names; hidden ones go without saying."""
    others = sorted(
        path
        for path in holdings.sizes("")
        if path.split("/")[0] in SPLITS and not VIDEO.fullmatch(path) and not posixpath.basename(path).startswith(".")
    )
    if not others:
        return ()
    return (f"{len(others):,} files are no videos by their names and were left out, such as {others[0]}",)
