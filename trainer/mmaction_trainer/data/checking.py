"""Everything that can be known of a data set before a GPU is asked for, each check by itself."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from mmaction_trainer.contract.checklist import Checklist
from mmaction_trainer.contract.run import DataSource
from mmaction_trainer.storage import Storage, open_storage
from mmaction_trainer.storage.disk import digest, read_chunks
from mmaction_trainer.storage.folder import Folder

from . import checks, twins
from .annotations import Annotations
from .cache import Cache, megabytes
from .decoding import Opened, apart, frames_enough, opened, refuse_broken, warnings_of
from .fetching import Report, fetch, home
from .holdings import Holdings
from .preparing import Examined, a_few, keys_of, listed, skipped, there

AFTER_LISTS = ("classes", "labels", "videos", "duplicates", "leakage", "decoding", "frames")
MOST_TWINS = 50
"""Files of one size that are fetched to be compared where not all videos are."""


def check(source: DataSource, cache: Cache, checklist: Checklist, report: Report) -> Path | None:
    """Check a data set: its lists against each other and against storage, and videos by decoding them.

    It fetches a few videos of each split, or all of them where the source says so.

    Returns:
        A video that decodes; None where there is none.
    """
    annotations: Annotations | None = None
    with checklist.check("lists") as notes:
        holdings = Holdings(open_storage(source.uri))
        annotations = listed(holdings, source, report)
        counts = (f"{split} {len(samples):,}" for split, samples in annotations.splits.items())
        notes.said = f"{', '.join(counts)} videos of {len(annotations.classes):,} classes"
        notes.warnings += annotations.warnings
    if annotations is None:
        checklist.skip(*AFTER_LISTS, why="the lists cannot be read")
        return None
    with checklist.check("classes") as notes:
        checks.classes_agree(annotations, source.num_classes)
        notes.warnings += checks.unseen_classes(annotations)
    with checklist.check("labels"):
        checks.labels_in_range(annotations, source.num_classes)
        checks.one_label_a_video(annotations)
    here = home(holdings.storage, cache.root)
    data = Examined(annotations, {})
    with checklist.check("videos") as notes:
        data = there(annotations, holdings, source)
        needed = sum(data.sizes.values())
        notes.said = f"{len(data.files):,} files, {megabytes(needed)}"
        notes.warnings += room(holdings.storage, needed, cache)
    videos = Videos(data, holdings.storage, here, cache, report)
    compare(videos, source, checklist)
    if checklist.failed("videos"):
        checklist.skip("decoding", "frames", why="videos are missing")
    elif source.media == "frames":
        checklist.skip("decoding", "frames", why="the data set holds frames, not videos")
    else:
        return decode(videos, source, checklist)
    return None


@dataclass(frozen=True)
class Videos:
    """A data set's videos, of which some are fetched to look into them.

    Args:
        data: which there are.
        storage: where they come from.
        here: where they lie on this machine.
        cache: what is fetched lies in it.
        report: told what is done.
    """

    data: Examined
    storage: Storage
    here: Path
    cache: Cache
    report: Report

    def fetch(self, keys: Iterable[str]) -> None:
        """Bring some of them here, by key in storage."""
        fetch(self.storage, {key: self.data.files[key] for key in keys}, self.here, self.cache, self.report)


def room(storage: Storage, needed: int, cache: Cache) -> Iterable[str]:
    """A warning where videos do not fit on this disk, which need not be the one that trains.

    Raises:
        DiskFailure: they do not fit into the cache, however much it removes.
    """
    if isinstance(storage, Folder):
        return
    cache.fits(needed)
    cache.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache.root).free
    if needed > free:
        yield f"the videos take {megabytes(needed)}, and {cache.root} has {megabytes(free)} free"


def compare(videos: Videos, source: DataSource, checklist: Checklist) -> None:
    """Look for videos that are listed more than once, by their names and by their bytes."""
    data = videos.data
    digests: Mapping[str, str] = {}
    with checklist.check("duplicates") as notes:
        alike = twins.of_one_size(data.annotations, data.sizes)
        if source.decode == "sample":
            alike = alike[:MOST_TWINS]
        digests = digests_of(alike, videos)
        notes.warnings += twins.duplicates(data.annotations, digests)
    with checklist.check("leakage") as notes:
        notes.warnings += twins.doubts(data.annotations)
        leaks = twins.leaks(data.annotations, digests)
        if source.leakage == "warn":
            notes.warnings += [f"{leak.where}: {leak.found}" for leak in leaks[:1]]
        else:
            twins.refuse_leaks(leaks)


def digests_of(paths: Iterable[str], videos: Videos) -> Mapping[str, str]:
    """sha256 of videos, by path."""
    keys = {path: posixpath.join(videos.data.annotations.root, path) for path in paths}
    videos.fetch(keys.values())
    return {path: digest(read_chunks(videos.here / key))[1] for path, key in keys.items()}


def decode(videos: Videos, source: DataSource, checklist: Checklist) -> Path | None:
    """Open videos as MMAction2 will, in parallel, and see how long they are."""
    data, here = videos.data, videos.here
    found: Mapping[str, Opened] = {}
    with checklist.check("decoding") as notes:
        keys = sorted(data.files) if source.decode == "all" else a_few(data.annotations)
        videos.fetch(keys)
        found = open_all({posixpath.join(videos.storage.uri, key): here / key for key in keys}, videos.report)
        may = skipped(data, source)
        broken, others = apart(found, {posixpath.join(videos.storage.uri, key) for key in may})
        if source.decode == "all" and len(broken) > source.max_skipped * len(keys_of(data).get("train", ())):
            others = found
        refuse_broken(others, of=len(data.files), skips=source.corrupt == "skip")
        notes.warnings += warnings_of(broken)
        notes.said = f"{len(found):,} of {len(data.files):,} videos decoded"
    if not found:
        checklist.skip("frames", why="no video was decoded")
        return None
    with checklist.check("frames") as notes:
        counts = [one.frames for one in found.values() if not one.fault]
        notes.said = f"{min(counts):,} to {max(counts):,} frames a video" if counts else ""
        notes.warnings += frames_enough(found, frames=source.frames, span=source.span)
    return next((here / key for key, one in zip(keys, found.values(), strict=True) if not one.fault), None)


def open_all(paths: Mapping[str, Path], report: Report) -> Mapping[str, Opened]:
    """Each video opened, on all cores, by its name: decord lets other threads run while it decodes."""
    found: dict[str, Opened] = {}
    report(0, len(paths), "decoding videos")
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        try:
            waiting = {pool.submit(opened, path): name for name, path in paths.items()}
            for done in as_completed(waiting):
                found[waiting[done]] = done.result()
                report(len(found), len(paths), "decoding videos")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {name: found[name] for name in paths}
