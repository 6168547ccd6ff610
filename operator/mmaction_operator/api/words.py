"""A field's schema in words: what it accepts, for error messages and for the reference."""

from __future__ import annotations

from .schema import Schema

NOUNS = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def accepted(node: Schema) -> str:
    """What a field accepts, such as ``an integer from 1 to 99``."""
    if "enum" in node or "const" in node:
        return bounds(node)
    words = NOUNS[node["type"]]
    if limits := bounds(node):
        words += f" {limits}" if node["type"] in ("integer", "number") else f" of {limits}"
    if node.get("properties"):
        words += f" with {', '.join(node['properties'])}"
    if "examples" in node:
        words += f", such as {', '.join(node['examples'])}"
    return words


def bounds(node: Schema) -> str:
    """The bounds of a field's values, such as ``from 1 to 99``; empty if its type says all."""
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return "one of " + ", ".join(map(str, node["enum"]))
    if node["type"] in ("integer", "number"):
        return _range(node)
    return ", ".join(filter(None, [_limit(node), node.get("x-accepts")]))


def _range(node: Schema) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is None:
        return "" if high is None else f"up to {high}"
    return f"from {low}" if high is None else f"from {low} to {high}"


def _limit(node: Schema) -> str:
    things = {"maxLength": "characters", "maxItems": "items", "maxProperties": "keys"}
    return next((f"at most {node[key]} {thing}" for key, thing in things.items() if key in node), "")
