"""Which keys the parts of a config accept, so that a misspelt override is refused before anything runs.

A dict with a `type` is built by the class of that name: `signature`. The sections of a config that have none, such as
`train_dataloader` or `optim_wrapper.clip_grad`, are read by MMEngine's Runner: `section_signature`.
"""

import functools
from dataclasses import dataclass
from typing import Any

from .snapshot_files import read

OWN_SCOPES = ("mmaction.", "mmengine.")


@dataclass(frozen=True)
class Signature:
    """The keys that a type or a section accepts beside `type`.

    Attributes:
        params: those that are known.
        open: others are accepted as well, and go where no signature tells.
    """

    params: frozenset[str]
    open: bool

    def accepts(self, key: str) -> bool:
        return self.open or key in self.params


@functools.cache
def signature(type_name: str) -> Signature | None:
    """What the class registered as `type_name` accepts; None if neither MMAction2 nor a config of its zoo knows it.

    Types of packages that the zoo only refers to (`mmcls.ResNeXt`, `torchvision.densenet161`) are open.
    """
    types: dict[str, Any] = read("signatures")["types"]
    for scope in OWN_SCOPES:
        type_name = type_name.removeprefix(scope)
    return _signature(types[type_name]) if type_name in types else None


def section_signature(path: tuple[str, ...]) -> Signature | None:
    """What the dict at `path` accepts if it carries no `type`; None if no such section is known.

    `path` is from the top of the config, `()` the top itself; an element of a list counts with its index as text. A
    dict that carries a `type` is answered by `signature`, whatever its path, except `optim_wrapper.clip_grad`, whose
    `type` ("norm" or "value") is a key like any other.
    """
    matching = [pattern for pattern in _patterns() if _matches(pattern, path)]
    if not matching:
        return None
    exact_first = min(matching, key=lambda pattern: (pattern[:1] == ("**",), pattern.count("*"), -len(pattern)))
    return _patterns()[exact_first]


@functools.cache
def tuple_fields() -> frozenset[tuple[str, str]]:
    """(type, key) of the fields that hold a tuple; a list there, of a YAML file, has to become one, lists in it too.

    For a dict without a type, the key that it stands under takes the type's place: ("upsample_cfg", "scale_factor").
    """
    return frozenset((owner, key) for owner, key in read("signatures")["tuple_fields"])


@functools.cache
def _patterns() -> dict[tuple[str, ...], Signature]:
    sections: dict[str, Any] = read("signatures")["sections"]
    return {tuple(path.split(".")) if path else (): _signature(found) for path, found in sections.items()}


def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    if pattern[:1] == ("**",):
        pattern = pattern[1:]
        path = path[-len(pattern) :]
    return len(pattern) == len(path) and all(want in ("*", got) for want, got in zip(pattern, path, strict=True))


def _signature(found: dict[str, Any]) -> Signature:
    return Signature(frozenset(found["params"]), bool(found["open"]))
