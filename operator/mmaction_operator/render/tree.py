"""A config as a value: nested dicts, lists and tuples that are read by path and changed by copying.

Every step of the renderer takes a config and returns another one. ``put`` and ``drop`` copy what lies along the path
and share the rest, so that nothing a caller holds is ever changed.

A path is text with dots (``model.backbone.depth``), or a tuple of keys where a key holds a dot itself; an element of a
list counts with its index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Config = dict[str, Any]
"""MMEngine's config: as free in form as Kubernetes' JSON, hence ``Any``."""

Path = tuple[str, ...]


def parts(path: str | Path) -> Path:
    """The keys of a path."""
    return tuple(path.split(".")) if isinstance(path, str) else path


def dotted(path: Path) -> str:
    """The path as users write it."""
    return ".".join(path)


def get(tree: Any, path: str | Path, default: Any = None) -> Any:
    """What lies at a path; ``default`` if nothing does."""
    for key in parts(path):
        if isinstance(tree, dict) and key in tree:
            tree = tree[key]
        elif isinstance(tree, list | tuple) and key.isdecimal() and int(key) < len(tree):
            tree = tree[int(key)]
        else:
            return default
    return tree


def has(tree: Any, path: str | Path) -> bool:
    """Whether anything lies at a path, None included."""
    return get(tree, path, _NOTHING) is not _NOTHING


def put(tree: Any, path: str | Path, value: Any) -> Any:
    """The tree with ``value`` at the path; dicts that are missing on the way are made."""
    keys = parts(path)
    if not keys:
        return value
    head, rest = keys[0], keys[1:]
    if isinstance(tree, list | tuple):
        elements = list(tree)
        elements[int(head)] = put(elements[int(head)], rest, value)
        return type(tree)(elements)
    tree = tree if isinstance(tree, dict) else {}
    return {**tree, head: put(tree.get(head), rest, value)}


def drop(tree: Any, path: str | Path) -> Any:
    """The tree without the key that a path ends in, if it is there."""
    *parent, last = parts(path)
    if not has(tree, path):
        return tree
    left = {key: value for key, value in get(tree, tuple(parent)).items() if key != last}
    return put(tree, tuple(parent), left)


def matching(tree: Any, pattern: str | Path) -> tuple[Path, ...]:
    """The paths in the tree that match a pattern, in which ``*`` stands for any one key or index."""
    keys = parts(pattern)
    if not keys:
        return ((),)
    heads = _children(tree) if keys[0] == "*" else keys[:1]
    return tuple(
        (head, *rest) for head in heads if has(tree, (head,)) for rest in matching(get(tree, (head,)), keys[1:])
    )


def nodes(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value in the tree with its path, a container before what it holds."""
    yield path, tree
    for key in _children(tree):
        yield from nodes(get(tree, (key,)), (*path, key))


def rewrite(tree: Any, change: Callable[[Config], Config]) -> Any:
    """The tree with every dict in it replaced by ``change(dict)``, inner ones first."""
    if isinstance(tree, dict):
        return change({key: rewrite(value, change) for key, value in tree.items()})
    if isinstance(tree, list | tuple):
        return type(tree)(rewrite(value, change) for value in tree)
    return tree


def same(one: Any, other: Any) -> bool:
    """Whether two trees are equal, types included: ``==`` takes 1 for True and for 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _children(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        yield from (key for key in tree if isinstance(key, str))
    elif isinstance(tree, list | tuple):
        yield from map(str, range(len(tree)))


_NOTHING = object()
