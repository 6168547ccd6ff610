"""Overrides merged into a config as MMEngine merges a child config, or ``--cfg-options``, into a base.

Dicts are merged key by key, ``_delete_: true`` replaces a dict, lists are replaced whole. A dotted key at the top
(``model.backbone.depth``) is a path, and a dict whose keys are numbers changes elements of a list
(``param_scheduler: {"1": {eta_min: 0}}``). The result equals MMEngine's own, and where MMEngine raises, or leaves a
``_delete_`` behind, this either refuses by name or does what was meant:

- ``_delete_`` in a dict that has no base, or in an element of a list, is not taken for a key;
- an element of a list may be replaced by a value, and one of a tuple as well;
- a dict may take the place of None.
"""

from __future__ import annotations

from typing import Any

from mmaction_trainer.contract.errors import ConfigFailure

from ..zoo import tuple_fields
from .plain import DELETE, field
from .tree import Config, Path


def expand(overrides: Config) -> Config:
    """Dotted keys at the top made nested; below it a dot is part of a key, as in ``paramwise_cfg.custom_keys``.

    Raises:
        ConfigFailure: a path has an empty part.
    """
    nested: Config = {}
    for key, value in overrides.items():
        *parents, last = key.split(".")
        if not all((*parents, last)):
            raise ConfigFailure(field((key,)), "is not a path", accepted="keys joined by single dots")
        wrapped = {last: value}
        for parent in reversed(parents):
            wrapped = {parent: wrapped}
        nested = _join(nested, wrapped)
    return nested


def merge(base: Any, change: Any, path: Path = ()) -> Any:
    """``base`` with ``change`` merged in; neither is altered.

    Raises:
        ConfigFailure: a mapping is to be merged into something that is none, an index is not there, or text stands
            where a number was.
    """
    if not isinstance(change, dict):
        return _scalar(base, change, path)
    replaces = change.get(DELETE, False)
    items = {key: value for key, value in change.items() if key != DELETE}
    if isinstance(base, list | tuple) and not replaces:
        return _elements(base, items, path)
    if replaces or base is None:
        base = {}
    if not isinstance(base, dict):
        raise ConfigFailure(
            field(path), f"found a mapping, and the config has {base!r} there", do=f"Set {DELETE}: true to replace it."
        )
    return {**base, **{key: merge(base.get(key), value, (*path, key)) for key, value in items.items()}}


def with_tuples(config: Any, owner: str = "") -> Any:
    """Lists that stand where MMAction2 insists on tuples, made tuples with all lists in them.

    YAML has no tuples, and a pipeline whose ``Resize.scale`` is a list fails at the first video.
    """
    if isinstance(config, list | tuple):
        return type(config)(with_tuples(item, owner) for item in config)
    if not isinstance(config, dict):
        return config
    owner = config["type"] if isinstance(config.get("type"), str) else owner
    return {
        key: _deep_tuple(value) if (owner, key) in tuple_fields() else with_tuples(value, key)
        for key, value in config.items()
    }


def _join(one: Any, other: Any) -> Any:
    """Two overrides as one. ``model.backbone`` and ``model.cls_head`` are both meant."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return {**one, **{key: _join(one.get(key), value) for key, value in other.items()}}


def _elements(base: list[Any] | tuple[Any, ...], items: Config, path: Path) -> Any:
    elements = list(base)
    for key, value in items.items():
        if not key.isdecimal() or int(key) >= len(elements):
            raise ConfigFailure(
                field((*path, key)),
                "is not an element of a list",
                accepted=f"an index from 0 to {len(elements) - 1}, or a whole list",
            )
        elements[int(key)] = merge(elements[int(key)], value, (*path, key))
    return type(base)(elements)


def _scalar(base: Any, change: Any, path: Path) -> Any:
    is_number = isinstance(base, int | float) and not isinstance(base, bool)
    if is_number and isinstance(change, str):
        raise ConfigFailure(
            field(path),
            f"found the text {change!r}, and the config has the number {base!r} there",
            do="YAML reads 1e-5 as text: write 1.0e-5.",
        )
    return _deep_tuple(change) if isinstance(base, tuple) and isinstance(change, list) else _without_marks(change)


def _without_marks(value: Any) -> Any:
    """A list as it is, with nothing in its dicts that only merging understands."""
    if isinstance(value, list):
        return [_without_marks(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_marks(item) for key, item in value.items() if key != DELETE}
    return value


def _deep_tuple(value: Any) -> Any:
    return tuple(_deep_tuple(item) for item in value) if isinstance(value, list | tuple) else value
