"""Labels, classes and videos against each other, and against what the config was rendered for."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from mmaction_trainer.contract.errors import DataFailure

from .annotations import Annotations, Sample
from .findings import Finding, refuse

TAKE_OFF = "Add what is missing, or take these lines off the lists."


def classes_agree(annotations: Annotations, num_classes: int) -> None:
    """See that there are as many classes as the model has outputs, each name once.

    Raises:
        DataFailure: there are more, or fewer, or two of one name.
    """
    names = annotations.classes
    if len(names) != num_classes:
        raise DataFailure(
            annotations.named_by,
            f"{len(names)} classes",
            accepted=f"{num_classes}, as the job says",
            do=f"Set spec.dataset.numClasses to {len(names)}, or correct {annotations.named_by}."
            if annotations.train
            else "A test of some of the classes takes format: list, whose labels are the model's class ids.",
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    refuse([Finding(annotations.named_by, f"class {name!r} is named twice") for name in twice])


def labels_in_range(annotations: Annotations, num_classes: int) -> None:
    """See that every label is a class id; one that is not is a CUDA assertion in the middle of training.

    Raises:
        DataFailure: a label is not.
    """
    labels = {sample.label for sample in annotations.samples}
    from_one = (min(labels), max(labels)) == (1, num_classes)
    refuse(
        [
            Finding(sample.where, f"label {sample.label} is no class id")
            for sample in annotations.samples
            if not 0 <= sample.label < num_classes
        ],
        accepted=f"0 to {num_classes - 1}",
        do="These lists count from 1; take 1 off every label." if from_one else "",
    )


def videos_there(annotations: Annotations, sizes: Mapping[str, int], uri: str) -> Annotations:
    """See that every video is there and not empty, and give each sample the path that it has there.

    A list may leave out a name's .mp4, as MMAction2's may.

    Raises:
        DataFailure: a path leads out of the data set, or its video is missing or empty.
    """
    annotations = inside(annotations, uri)
    found = {
        sample.path: next((name for name in (sample.path, f"{sample.path}.mp4") if name in sizes), None)
        for sample in annotations.samples
    }
    absent(annotations, lambda sample: found[sample.path] is None, sizes, uri)
    named = moved(annotations, lambda sample: found[sample.path] or sample.path)
    refuse(
        [Finding(one.where, f"{one.path!r} has 0 bytes") for one in named.samples if not sizes[one.path]], do=TAKE_OFF
    )
    return named


def frames_there(annotations: Annotations, sizes: Mapping[str, int], uri: str) -> Annotations:
    """See that every folder of frames is there and holds as many files that are not empty as its line says.

    Raises:
        DataFailure: a path leads out of the data set, or its folder is missing or holds too few.
    """
    annotations = inside(annotations, uri)
    counts = Counter(posixpath.dirname(path) for path, size in sizes.items() if size)
    absent(annotations, lambda sample: not counts[sample.path], sizes, uri)
    refuse(
        [
            Finding(sample.where, f"{sample.path!r} holds {counts[sample.path]} frames, and the line says {frames}")
            for sample in annotations.samples
            if counts[sample.path] < (frames := sample.frames or 1)
        ],
        do=TAKE_OFF,
    )
    return annotations


def absent(annotations: Annotations, is_absent: Callable[[Sample], bool], sizes: Mapping[str, int], uri: str) -> None:
    """Refuse samples that are not there, with one file that is."""
    example = next(iter(sizes), "(it is empty)")
    refuse(
        [Finding(sample.where, f"{sample.path!r} is not there") for sample in annotations.samples if is_absent(sample)],
        accepted=f"what lies in {posixpath.join(uri, annotations.root, '')}, such as {example}",
        do=TAKE_OFF,
    )


def inside(annotations: Annotations, uri: str) -> Annotations:
    """Simplify every path (./a//b is a/b), and see that none leads out of the data set."""
    plain = moved(annotations, lambda sample: posixpath.normpath(sample.path))
    refuse(
        [
            Finding(sample.where, f"{sample.path!r} leads out of the data set")
            for sample in plain.samples
            if sample.path.startswith("/") or sample.path.split("/")[0] in (".", "..")
        ],
        accepted=f"paths below {posixpath.join(uri, annotations.root, '')}",
    )
    return plain


def moved(annotations: Annotations, path_of: Callable[[Sample], str]) -> Annotations:
    """The annotations with other paths."""
    splits = {
        split: tuple(replace(sample, path=path_of(sample)) for sample in samples)
        for split, samples in annotations.splits.items()
    }
    train, val, test = (splits.get(split, ()) for split in ("train", "val", "test"))
    return replace(annotations, train=train, val=val, test=test)


def one_label_a_video(annotations: Annotations) -> None:
    """See that no video has two labels, in one list or in two.

    Raises:
        DataFailure: one has.
    """
    first: dict[str, Sample] = {}
    refuse(
        [
            Finding(sample.where, f"{sample.path!r} has label {sample.label}, and {known.where} gives it {known.label}")
            for sample in annotations.samples
            if (known := first.setdefault(sample.path, sample)).label != sample.label
        ],
        accepted="one label a video",
        do="Correct one of the lines; a video of several classes needs another kind of model.",
    )


def unseen_classes(annotations: Annotations) -> Iterator[str]:
    """A warning where a training has classes without a video to learn from."""
    unseen = sorted(set(range(len(annotations.classes))) - {sample.label for sample in annotations.train})
    if unseen and annotations.train:
        yield (
            f"{len(unseen):,} of {len(annotations.classes):,} classes have no video in train, "
            f"such as {annotations.classes[unseen[0]]} ({unseen[0]})"
        )
