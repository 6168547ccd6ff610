"""One entry of the zoo: a config by name, with what MMAction2 publishes about it."""

import functools
from dataclasses import dataclass
from typing import Any, Literal

from .encoding import decode
from .nearest import nearest
from .snapshot_files import read

Modality = Literal["rgb", "flow", "omni"]


class UnknownConfig(LookupError):
    """No config of the zoo has this name; `nearest` are up to five that may have been meant, the likeliest first."""

    def __init__(self, name: str, nearest: tuple[str, ...]) -> None:
        self.name, self.nearest = name, nearest
        super().__init__(name, nearest)

    def __str__(self) -> str:
        hint = f"; did you mean {', '.join(self.nearest)}?" if self.nearest else ""
        return f"MMAction2's zoo has no recognition config {self.name!r}{hint}"


@dataclass(frozen=True)
class Weights:
    """The checkpoint trained with a config, for all of the model.

    Attributes:
        url: where OpenMMLab serves it.
        sha256_prefix: the first 8 hex digits of its sha256, as its file name says.
    """

    url: str
    sha256_prefix: str | None


@dataclass(frozen=True)
class Reported:
    """An accuracy that MMAction2 reports for the weights, measured with the test pipeline of the config.

    Attributes:
        dataset: such as "Kinetics-400".
        metric: "top1" or "top5"; with "_efficient" where it was measured on one centre crop instead.
        value: in percent.
    """

    dataset: str
    metric: str
    value: float


@dataclass(frozen=True)
class ZooEntry:
    """A config of MMAction2 with what its metafile says about it.

    Attributes:
        name: the file name without .py, by which a TrainJob asks for it.
        family: the folder it is in, such as "slowfast".
        path: below MMAction2's configs/.
        config: all of it, flattened; the caller's own copy.
        trainable: has train_dataloader, train_cfg and optim_wrapper. The others are for testing alone.
        modality: what the model sees; "omni" is images and videos in one training.
        dataset_type: type of the training dataset, else of the test dataset; None if the config has neither.
        epochs: max_epochs of the config's own schedule.
        weights: None if none were published.
        reported: empty if nothing was.
        params: number of parameters, rounded as published.
        flops: of one clip, rounded as published.
        pretrained_on: what the backbone started from, as published: "ImageNet", "CLIP-400M".
        resolution: as published: "224x224", "short-side 320".
    """

    name: str
    family: str
    path: str
    config: dict[str, Any]
    trainable: bool
    modality: Modality
    dataset_type: str | None
    epochs: int | None
    weights: Weights | None
    reported: tuple[Reported, ...]
    params: int | None
    flops: int | None
    pretrained_on: str | None
    resolution: str | None


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all configs, sorted."""
    return tuple(sorted(read("index")["entries"]))


def load(name: str) -> ZooEntry:
    """The entry of that name, with a copy of its config that the caller may change.

    Raises:
        UnknownConfig: there is none.
    """
    entries = read("index")["entries"]
    if name not in entries:
        raise UnknownConfig(name, nearest(name, {known: entries[known]["family"] for known in names()}))
    facts = dict(entries[name])
    weights, reported = facts.pop("weights"), facts.pop("reported")
    return ZooEntry(
        name=name,
        config=decode(read(facts["family"])["configs"][name]),
        weights=Weights(**weights) if weights else None,
        reported=tuple(Reported(**line) for line in reported),
        **facts,
    )
