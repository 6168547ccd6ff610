"""Overrides as they arrive from a YAML file or an API server, made safe to handle: plain data, within bounds.

What comes out holds text, numbers, booleans, None, lists and dicts with text keys, in new containers. YAML's shared
nodes are walked like any other, so the bound on values also ends a "billion laughs".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from mmaction_trainer.contract.errors import ConfigFailure

from .tree import Path, dotted

DEEPEST = 32
MOST_VALUES = 10_000
LONGEST_TEXT = 10_000
LARGEST_INTEGER = 2**63

DELETE = "_delete_"
"""MMEngine's word for "replace this dict instead of merging into it"."""

SUBSTITUTED = "{{"
"""What MMEngine substitutes when it reads a config: file names, environment variables, other configs' values."""


def field(path: Path) -> str:
    """An override as an error names it."""
    return dotted(("spec", "overrides", *path))


def plain(value: Any, path: Path = ()) -> Any:
    """A copy of overrides as plain data.

    Raises:
        ConfigFailure: names what is not data, or not within bounds.
    """
    return _copy(value, path, iter(range(MOST_VALUES)))


def _copy(value: Any, path: Path, left: Iterator[int]) -> Any:
    if next(left, None) is None:
        raise ConfigFailure("spec.overrides", f"more than {MOST_VALUES} values", accepted=f"up to {MOST_VALUES}")
    if len(path) > DEEPEST:
        raise ConfigFailure(field(path[:4]), f"nested more than {DEEPEST} deep", accepted=f"up to {DEEPEST}")
    if isinstance(value, dict):
        # In one order: an API server keeps the keys sorted, and the same job is the same bytes wherever it comes from.
        return {key: _copy(item, (*path, key), left) for key, item in sorted(_keyed(value, path), key=itemgetter(0))}
    if isinstance(value, list | tuple):
        return [_copy(item, (*path, str(at)), left) for at, item in enumerate(value)]
    if isinstance(value, str):
        return _text(value, path)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value, path)
    raise ConfigFailure(
        field(path), f"found a {type(value).__name__}", accepted="text, numbers, booleans, null, lists and mappings"
    )


def _keyed(value: dict[Any, Any], path: Path) -> Iterator[tuple[str, Any]]:
    """Items with text keys. YAML reads an index of a list (``0:``) as a number."""
    for key, item in value.items():
        name = str(key) if isinstance(key, int) and not isinstance(key, bool) else key
        if not isinstance(name, str):
            raise ConfigFailure(field(path), f"found the key {key!r}", accepted="keys that are text")
        _text(name, (*path, name))
        if name.startswith("_") and name != DELETE:
            raise ConfigFailure(
                field((*path, name)), "is not a key of a config", accepted=f"{DELETE}, alone of those that begin with _"
            )
        if name == DELETE and not isinstance(item, bool):
            raise ConfigFailure(field((*path, name)), f"found {item!r}", accepted="true or false")
        yield name, item


def _text(value: str, path: Path) -> str:
    if SUBSTITUTED in value:
        raise ConfigFailure(
            field(path), f"holds {SUBSTITUTED}, which MMEngine would substitute", accepted="text without it"
        )
    if len(value) > LONGEST_TEXT:
        raise ConfigFailure(
            field(path), f"{len(value)} characters of text", accepted=f"up to {LONGEST_TEXT} characters"
        )
    return value


def _number(value: int | float, path: Path) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigFailure(field(path), f"found {value}", accepted="finite numbers")
    if abs(value) > LARGEST_INTEGER and isinstance(value, int):
        raise ConfigFailure(field(path), "found an integer of more than 64 bits", accepted="64-bit integers")
    return value
