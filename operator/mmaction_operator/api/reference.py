"""docs/reference/trainjob.md: every field of a TrainJob, from its models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from .schema import Schema, described
from .trainjob import API_VERSION, KIND, TrainJob
from .words import bounds

TYPES = {"string": "text", "array": "list"}

INTRODUCTION = f"""\
# TrainJob

`apiVersion: {API_VERSION}`, `kind: {KIND}`. On a cluster `kubectl explain trainjob.spec` says the same.

A required field says so where its default would stand; where nothing stands, the field may be left out and its
description says what holds then. Null is the same as leaving a field out, where nothing below says otherwise.
"""


def reference() -> str:
    """The page as Markdown: a table for each object of spec and status, and the columns."""
    schema = described(TrainJob)
    objects = [section for name in ("spec", "status") for section in _sections(name, schema["properties"][name])]
    return "\n".join([INTRODUCTION, *objects, _columns()])


def _sections(path: str, node: Schema) -> Iterator[str]:
    """A section for the object at a path, then one for each object below it."""
    rows = [_row(path, name, field, name in node.get("required", [])) for name, field in node["properties"].items()]
    section = f"## {path}\n\n{escaped(node['description'])}\n\n"
    section += table(("Field", "Type", "Default", "Bounds", "Description"), rows)
    if rules := node.get("x-kubernetes-validations"):
        section += "\nAlso refused:\n\n" + "".join(map(_rule, rules))
    yield section
    for name, field in node["properties"].items():
        inner = field.get("items", field)
        if "properties" in inner:
            yield from _sections(_below(path, name, field), inner)


def _row(path: str, name: str, field: Schema, required: bool) -> tuple[str, ...]:
    kind: str = field["type"]
    kind = TYPES.get(kind, kind)
    if "properties" in field.get("items", field):
        section = _below(path, name, field)
        kind = f"[{kind}](#{section.lower().translate({ord(each): None for each in '.[]'})})"
    default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
    description: str = field["description"]
    return f"`{name}`", kind, "required" if required else default, bounds(field), description


def _below(path: str, name: str, field: Schema) -> str:
    return f"{path}.{name}[]" if "items" in field else f"{path}.{name}"


def _rule(rule: dict[str, str]) -> str:
    field = rule.get("fieldPath", "").removeprefix(".")
    subject = f"`{field}`: " if field else ""
    return f"- {subject}{escaped(rule['message'])} (`{rule['rule']}`)\n"


def _columns() -> str:
    rows = [(name, f"`{path}`") for name, _, path in TrainJob.columns]
    return "## kubectl get trainjobs\n\n" + table(("Column", "Shows"), rows)


def table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [heading, ("---",) * len(heading), *(tuple(map(escaped, row)) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escaped(text: str) -> str:
    """Text as Markdown shows it: no < of an HTML tag outside code, and no | that would end a table's cell."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if number % 2 else part.replace("<", "\\<") for number, part in enumerate(parts))
