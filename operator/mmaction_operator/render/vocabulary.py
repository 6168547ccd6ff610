"""Which keys and types overrides may use: those that MMEngine and MMAction2 understand.

A misspelt key is refused here and not by a TypeError in a pod. A type is more than that: MMEngine's registries import
whatever dotted name they do not know (``type: os.system``), so a name that the zoo's signatures do not have never
reaches one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from mmaction_trainer.contract.errors import ConfigFailure

from .. import zoo
from ..zoo import Signature
from . import tree
from .plain import DELETE, field
from .recipe import KEPT
from .runtime_settings import PROGRESS, RESUME
from .tree import Config, Path

BUILT_BY_NAME = ("type", "constructor")
"""Keys whose text MMEngine looks up in a registry."""

UNTYPED = (("optim_wrapper", "clip_grad"),)
"""Dicts whose ``type`` is a key like any other."""


def check(change: Any, base: Config, merged: Config) -> None:
    """See that overrides name only what the config has or could have.

    Args:
        change: the overrides, nested.
        base: the config before them.
        merged: the config after them; says which class reads each dict.

    Raises:
        ConfigFailure: names the key or type, what was found, and the nearest names that are accepted.
    """
    _check(change, (), base, merged)


def _check(change: Any, path: Path, base: Config, merged: Config) -> None:
    if isinstance(change, list):
        for at, item in enumerate(change):
            _check(item, (*path, str(at)), base, merged)
    if not isinstance(change, dict):
        return
    known = _signature(path, tree.get(merged, path))
    present = tree.get(base, path)
    for key, value in change.items():
        if key == DELETE:
            continue
        here = (*path, key)
        is_element = isinstance(present, list | tuple)
        is_present = isinstance(present, dict) and key in present
        if not (is_element or is_present or key == "type" or known is None or known.accepts(key)):
            raise _unknown_key(here, (*known.params, *(present or ())))
        if key in BUILT_BY_NAME and path not in UNTYPED:
            _check_type(value, here, base)
        _check(value, here, base, merged)


def _signature(path: Path, node: Any) -> Signature | None:
    """What the dict at a path accepts; None if that is not known, and anything goes."""
    if not path:
        section = zoo.section_signature(())
        assert section is not None
        return Signature(section.params | frozenset(KEPT), open=False)
    name = node.get("type") if isinstance(node, dict) else None
    if not isinstance(name, str) or path in UNTYPED:
        return zoo.section_signature(path)
    known = zoo.signature(name)
    if known is None:
        return None
    section = zoo.section_signature(path)  # `optim_wrapper` reads keys that are not its class's
    return Signature(known.params | section.params, known.open or section.open) if section else known


def _check_type(value: Any, path: Path, base: Config) -> None:
    if value in (PROGRESS, RESUME) or (value == tree.get(base, path) and value is not None):
        return
    if not isinstance(value, str):
        raise ConfigFailure(field(path), f"found {value!r}", accepted="the name of a class of MMAction2 or MMEngine")
    if zoo.signature(value) is None:
        near = difflib.get_close_matches(value, sorted(_types(base)), n=3, cutoff=0.6)
        raise ConfigFailure(
            field(path),
            f"MMAction2 and MMEngine have no {value!r}",
            accepted=", ".join(near) or "a class of theirs, by the name it is registered with",
            do="Is it misspelt?" if near else "",
        )


def _unknown_key(path: Path, accepted: Iterable[str]) -> ConfigFailure:
    names = sorted(set(accepted))
    near = difflib.get_close_matches(path[-1], names, n=3, cutoff=0.6)
    return ConfigFailure(
        field(path),
        "is not a key of this part of the config",
        accepted=", ".join(near or names) or "no keys",
        do="Is it misspelt?" if near else "",
    )


def _types(base: Config) -> set[str]:
    """Names of classes, for a hint: what this config and the rest of the zoo use."""
    configs = [base, *(zoo.load(name).config for name in zoo.names())]
    found = {node["type"] for config in configs for _, node in tree.nodes(config) if _is_typed(node)}
    return found | {owner for owner, _ in zoo.tuple_fields() if owner[:1].isupper()}


def _is_typed(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("type"), str)
