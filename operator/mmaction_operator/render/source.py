"""The config as Python source that MMEngine reads back as the same value, types included, and that a person can read.

Everything in it is a literal or a call of ``dict``: text goes through ``repr``, so that no text ends its own quotes,
and keys that are not identifiers are written in braces. Equal configs give equal bytes.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from typing import Any

from mmaction_trainer.contract.errors import ConfigFailure

from .draft import STAGES
from .plain import SUBSTITUTED
from .tree import Config, same

WIDTH = 119
INDENT = "    "
FORMAT = 2
"""Version of the renderer: it counts up when the same job renders to another text."""

ORDER = (
    "model",
    "load_from",
    *(f"{stage}_pipeline" for stage in STAGES),
    *(f"{stage}_dataloader" for stage in STAGES),
    "val_evaluator",
    "test_evaluator",
    "train_cfg",
    "val_cfg",
    "test_cfg",
    "optim_wrapper",
    "param_scheduler",
    "auto_scale_lr",
    "default_hooks",
    "custom_hooks",
)


def source(config: Config, *, job: str, recipe: str) -> str:
    """Python source of a config.

    Args:
        config: plain data with tuples.
        job: namespace/name, for the header.
        recipe: name of the zoo config, for the header.

    Raises:
        ConfigFailure: some text of it would be substituted by MMEngine.
    """
    first = [key for key in ORDER if key in config]
    keys = [*first, *sorted(config.keys() - set(first))]
    header = f"# TrainJob {job}: {recipe} of MMAction2, rendered by mmaction-operator (format {FORMAT})."
    lines = [_comment(header), "# Made from the TrainJob; edits are lost.", ""]
    for key in keys:
        lines.append(f"{key} = {_value(_named(key, config), len(key) + 3, 0)}")
    text = "\n".join(lines) + "\n"
    if SUBSTITUTED in text:
        raise ConfigFailure("config.py", f"holds {SUBSTITUTED}, which MMEngine would substitute")
    return text


class _Name:
    """Stands for a variable of the source."""

    def __init__(self, name: str) -> None:
        self.name = name


def _named(key: str, config: Config) -> Any:
    """A top-level value; a data set's pipeline is the variable of its stage, not written a second time."""
    value = config[key]
    stage = key.removesuffix("_dataloader")
    if key == stage or f"{stage}_pipeline" not in config:
        return value
    dataset = value["dataset"]
    if not same(dataset.get("pipeline"), config[f"{stage}_pipeline"]):
        return value
    return {**value, "dataset": {**dataset, "pipeline": _Name(f"{stage}_pipeline")}}


def _value(value: Any, column: int, depth: int) -> str:
    """A value that starts at a column: on its line if it fits there, else one item a line."""
    flat = _flat(value)
    if column + len(flat) < WIDTH or not isinstance(value, dict | list | tuple) or not value:
        return flat
    opening, closing = _brackets(value)
    inner = INDENT * (depth + 1)
    items = [f"{inner}{prefix}{_value(item, len(inner) + len(prefix), depth + 1)}," for prefix, item in _items(value)]
    return "\n".join([opening, *items, INDENT * depth + closing])


def _flat(value: Any) -> str:
    if isinstance(value, _Name):
        return value.name
    if not isinstance(value, dict | list | tuple):
        return repr(value)
    opening, closing = _brackets(value)
    inside = ", ".join(prefix + _flat(item) for prefix, item in _items(value))
    only = "," if isinstance(value, tuple) and len(value) == 1 else ""
    return f"{opening}{inside}{only}{closing}"


def _brackets(value: Any) -> tuple[str, str]:
    if isinstance(value, dict):
        return ("dict(", ")") if _identifiers(value) else ("{", "}")
    return ("[", "]") if isinstance(value, list) else ("(", ")")


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, dict):
        return (("", item) for item in value)
    if _identifiers(value):
        return ((f"{key}=", item) for key, item in value.items())
    return ((f"{key!r}: ", item) for key, item in value.items())


def _identifiers(value: dict[Any, Any]) -> bool:
    return all(_is_identifier(key) for key in value)


def _is_identifier(key: Any) -> bool:
    """ASCII alone: Python folds other letters in identifiers (``ª`` is read as ``a``), not in text."""
    return isinstance(key, str) and key.isascii() and key.isidentifier() and not keyword.iskeyword(key)


def _comment(text: str) -> str:
    """One line of plain characters, whatever is in the text."""
    return "".join(character if character.isascii() and character.isprintable() else "?" for character in text)
