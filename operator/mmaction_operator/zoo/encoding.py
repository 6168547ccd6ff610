"""Configs as JSON without loss: JSON has no tuples and no integer keys, and MMAction2 insists on both.

A pipeline whose `Resize.scale` has become a list fails at the first sample, and a `flip_label_map` with the key "86"
never finds label 86. A tuple is written `{"__tuple__": [...]}`, a dict with keys other than text
`{"__items__": [[key, value], ...]}`, and everything else as it is.
"""

from typing import Any

TUPLE = "__tuple__"
ITEMS = "__items__"


def encode(value: Any) -> Any:
    """Raises TypeError on what neither JSON nor the two marks can hold, such as a class or a function."""
    if isinstance(value, tuple):
        return {TUPLE: [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: encode(item) for key, item in value.items()}
        return {ITEMS: [[encode(key), encode(item)] for key, item in value.items()]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} cannot be written as data")


def decode(value: Any) -> Any:
    """The inverse of `encode`; every container in the result is new."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {TUPLE}:
            return tuple(decode(item) for item in value[TUPLE])
        if value.keys() == {ITEMS}:
            return {decode(key): decode(item) for key, item in value[ITEMS]}
        return {key: decode(item) for key, item in value.items()}
    return value
