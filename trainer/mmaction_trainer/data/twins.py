"""Videos that a data set has more than once: listed twice, or copied under another name.

What is twice in train is shown twice as often. What is in train and in test makes the model look better than it is:
that is leakage, and no number of such a test is worth anything.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .annotations import Annotations, Sample
from .findings import Finding, refuse

GROUP = re.compile(r"(?:.*/)?v_(?P<name>[^/]+_g\d+)_c\d+\.\w+")
"""UCF101's names of clips: those of one group are cut from one recording."""


def of_one_size(annotations: Annotations, sizes: Mapping[str, int]) -> list[str]:
    """Videos that may be copies of each other, as they have as many bytes; those in two splits first."""
    splits: dict[str, set[str]] = defaultdict(set)
    for split, samples in annotations.splits.items():
        for sample in samples:
            splits[sample.path].add("train" if split == "train" else "test")
    alike: dict[int, list[str]] = defaultdict(list)
    for path in splits:
        if size := sizes.get(posixpath.join(annotations.root, path)):
            alike[size].append(path)
    groups = [paths for paths in alike.values() if len(paths) > 1]
    groups.sort(key=lambda paths: (len(set().union(*(splits[path] for path in paths))) == 1, min(paths)))
    return list(itertools.chain.from_iterable(groups))


def duplicates(annotations: Annotations, digests: Mapping[str, str]) -> Iterator[str]:
    """A warning for each split that has a video more than once."""
    for split, samples in annotations.splits.items():
        if split == "test" and samples == annotations.val:
            continue
        again = list(pairs(samples, samples, digests))
        if again:
            one, other = again[0]
            yield f"{len(again):,} videos are more than once in {split}, such as {told(one)} and {told(other)}"


def leaks(annotations: Annotations, digests: Mapping[str, str]) -> list[Finding]:
    """Videos of train that the model is validated or tested on."""
    found = {}
    for samples in (annotations.val, annotations.test):
        for one, other in pairs(annotations.train, samples, digests):
            found[other.where] = Finding(other.where, f"{other.path!r} is in train too ({told(one)})")
    return list(found.values())


def refuse_leaks(found: Sequence[Finding]) -> None:
    """Refuse leakage.

    Raises:
        DataFailure: there is some.
    """
    refuse(
        found,
        accepted="videos that train does not have",
        do="Take them off one of the lists; or set spec.dataset.leakage to warn, and trust no number of this job.",
    )


def doubts(annotations: Annotations) -> Iterator[str]:
    """What may be leakage: val and test that overlap in part, and clips of one recording in train and in test."""
    validated = {sample.path for sample in annotations.val}
    shared = sorted(validated & {sample.path for sample in annotations.test})
    if shared and annotations.val != annotations.test:
        yield (
            f"{len(shared):,} videos are in both val and test, such as {shared[0]}; val chooses the checkpoint, so its "
            "test will look better than it is"
        )
    trained, tested = groups_of(annotations.train), groups_of((*annotations.val, *annotations.test))
    if both := sorted(trained.keys() & tested.keys()):
        yield (
            f"{len(both):,} recordings have clips in train and in test, such as {trained[both[0]]} and "
            f"{tested[both[0]]}; UCF101's own splits keep them apart"
        )


def pairs(
    some: Iterable[Sample], others: Iterable[Sample], digests: Mapping[str, str]
) -> Iterator[tuple[Sample, Sample]]:
    """Lines of two lists that have one video, by its name or by its bytes."""
    known: dict[str, Sample] = {}
    for sample in some:
        known.setdefault(digests.get(sample.path, sample.path), sample)
    for other in others:
        one = known.get(digests.get(other.path, other.path))
        if one is not None and one is not other:
            yield one, other


def groups_of(samples: Iterable[Sample]) -> dict[str, str]:
    """A clip of each recording, by the recording's name."""
    matches = ((GROUP.fullmatch(sample.path), sample.path) for sample in samples)
    return {match["name"]: path for match, path in matches if match}


def told(sample: Sample) -> str:
    """A line and its video."""
    return sample.path if sample.where == sample.path else f"{sample.where}, {sample.path}"
