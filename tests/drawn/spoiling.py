"""What can be wrong with a field, or only just right: each way is something that a person, or a program, once wrote.

Nothing here says whether the API takes it: that is for the API server and for the models, who have to agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from mmaction_operator.api.schema import Schema

from .hostile import MEGABYTE, TEXTS
from .lot import Lot, Path, fields, schema

TOKENS = (
    *("1.0", "1e0", "1E+1", "100e-1", "-0", "-0.0", "1.5e-3", "1e400", "2" * 20, "2" * 400),
    *('"\\u0000"', '"\\ud83c\\udfac"', '{"a":1,"a":2}', "[" * 400 + "]" * 400),
)
"""Spellings of values that JSON has or has not; written into the text of a job as they stand here."""
TWICE = "<twice>"
"""Before a key: it stands in the text a second time."""
WHATEVER: tuple[tuple[str, Any], ...] = (
    ("null", None),
    ("a boolean", True),
    ("an integer", 1),
    ("a fraction", 0.5),
    ("a whole fraction", 2.0),
    ("text", "text"),
    ("a number as text", "1"),
    ("a list", []),
    ("a list of null", [None]),
    ("an object", {}),
    ("an object with null", {"key": None}),
)

Way = tuple[str, Any]
"""What is odd about a value, and the value."""


def spoil(manifest: dict[str, Any], lot: Lot) -> tuple[str, str] | None:
    """Spoil a field of a job; which, and how. None where what holds it has been spoilt before."""
    path, node = lot.chance.choice(PLACES)
    found = _found(manifest, path, lot)
    if found is None:
        return None
    holder, key = found
    what, put = lot.chance.choice(list(_ways(node, holder[key], lot)))
    put(holder, key)
    return ".".join(map(str, path)), what


def written(manifest: dict[str, Any]) -> str:
    """The text of a manifest, tokens as they are."""
    text = json.dumps(manifest).replace(f'"{TWICE}', '"')
    for number, token in enumerate(TOKENS):
        text = text.replace(f'"<token {number}>"', token)
    return text


PLACES = [(path, node) for path, node in fields(schema()) if path and path != ("metadata",)]


def _found(manifest: dict[str, Any], path: Path, lot: Lot) -> tuple[Any, Any] | None:
    """The object or list that holds a field, and its key there; what is missing on the way is drawn."""
    holder: Any = manifest
    node: Schema = schema()
    for at, name in enumerate(path):
        node = node["properties"][name] if name != "*" else node.get("items") or node["additionalProperties"]
        key: Any = name
        if name == "*" and isinstance(holder, list):
            if not holder:
                holder.append(lot.value(node, path[: at + 1]))
            key = lot.chance.randrange(len(holder))
        elif not isinstance(holder, dict):
            return None
        elif name == "*":
            key = next(iter(holder), "key")
        if isinstance(holder, dict) and key not in holder:
            holder[key] = lot.value(node, path[: at + 1])
        if at < len(path) - 1:
            holder = holder[key]
    return holder, key


def _ways(node: Schema, present: Any, lot: Lot) -> Iterator[tuple[str, Callable[[Any, Any], None]]]:
    """Everything that may be done to a field."""

    def to(value: Any) -> Callable[[Any, Any], None]:
        return lambda holder, key: holder.__setitem__(key, value)

    def twice(holder: Any, key: Any) -> None:
        if isinstance(holder, dict):
            holder[f"{TWICE}{key}"] = holder[key]

    yield "absent", lambda holder, key: holder.pop(key)
    yield "twice", twice
    number = lot.chance.randrange(len(TOKENS))
    yield f"the token {TOKENS[number][:20]}", to(f"<token {number}>")
    for what, value in WHATEVER:
        yield what, to(value)
    for what, value in (*_odd(node, present, lot),) * 3:  # more often than the wrong type
        yield what, to(value)


def _odd(node: Schema, present: Any, lot: Lot) -> Iterator[Way]:
    """Values of the right type, or nearly, and what is odd about them."""
    kind = node.get("type")
    if "enum" in node:
        yield from _odd_choice(node["enum"][0])
    if kind in ("integer", "number"):
        yield from _odd_number(node)
    elif kind == "string":
        yield from _odd_text(node, lot)
    elif kind == "array":
        yield from _odd_list(node, present)
    elif "properties" in node:
        yield "an unknown field", {**_object(present), "unknown": 1}
        yield from (
            (f"{name} in other letters", {**_object(present), name.swapcase(): 1}) for name in node["properties"]
        )
    elif kind == "object":
        yield from _odd_map(node, present, lot)
    else:
        yield "a hostile text", lot.chance.choice(TEXTS)
        if lot.chance.random() < 0.1:
            yield "a megabyte", MEGABYTE
        yield "a number of 64 bits", 2**63
        yield "a number of 65 bits", 2**64


def _odd_choice(one: Any) -> Iterator[Way]:
    if isinstance(one, str):
        for changed in (one.upper(), one.title(), f"{one} ", one[:-1], f"{one}\n", ""):
            yield f"nearly a choice, {changed!r}", changed


def _odd_number(node: Schema) -> Iterator[Way]:
    low, high = node.get("minimum", 0), node.get("maximum", 0)
    for value in (low - 1, low, low + 1, high - 1, high, high + 1, float(low), float(high)):
        yield f"{value}, by its bounds", value
    for value in (-(2**63), 2**63 - 1, 2**63, 2**64, 1e300, -1e-300, 5e-324, high + 1e-9, low - 1e-9, low + 1e-9):
        yield f"the number {value}", value


def _odd_text(node: Schema, lot: Lot) -> Iterator[Way]:
    longest = node.get("maxLength", 10)
    for length in (longest, longest + 1):
        yield f"{length} characters", lot.text_of(node, length)
        yield f"{length} characters of four bytes", "\U0001f3ac" * length
    yield "no text", ""
    yield "a space", " "
    yield "a line end behind it", f"{lot.string(node)}\n"
    for text in lot.chance.sample(TEXTS, 3):
        yield f"the text {text!r}", text
    if lot.chance.random() < 0.1:
        yield "a megabyte", MEGABYTE


def _odd_list(node: Schema, present: Any) -> Iterator[Way]:
    some = present if isinstance(present, list) and present else [{}]
    yield "an item twice", [*some, some[0]]
    yield "too many items", some[:1] * (node["maxItems"] + 1)
    yield "null among the items", [*some, None]
    yield "a list in the list", [some]


def _odd_map(node: Schema, present: Any, lot: Lot) -> Iterator[Way]:
    some = _object(present)
    value = next(iter(some.values()), "a")
    most = node.get("maxProperties", 9)
    for count in (most, most + 1):
        yield f"{count} keys", {f"key-{number}": value for number in range(count)}
    yield "an empty key", {**some, "": value}
    yield "a null value", {**some, "null": None}
    yield "a key of the product", {**some, "mmaction.dev/attempt": value}
    if lot.chance.random() < 0.1:
        yield "a megabyte as a key", {MEGABYTE: value}


def _object(present: Any) -> dict[str, Any]:
    return present if isinstance(present, dict) else {}
