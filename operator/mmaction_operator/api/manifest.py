"""A manifest's text to its data, read the way kubectl reads it.

kubectl turns YAML into JSON with a parser that differs from PyYAML's: ``5e-3`` is a number there and text here, ``y``
is true there, a date is text, 1:30 is not ninety, and 1.0 arrives as 1. One file must mean one thing on a cluster and
on this machine, so kubectl's rules are followed, and what it would change without a word is refused: a key that stands
twice, and a key that it takes for something other than text.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode

MOST_VALUES = 1_000_000
"""More than an API server would take."""

_TAG = "tag:yaml.org,2002:"
_JSON = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}
_KEYS = (f"{_TAG}str", f"{_TAG}merge")

# Tag, pattern, and the characters that such a scalar may begin with. Sources: the resolver of sigs.k8s.io/yaml 1.6
# (goyaml.v2), and its output for each of these.
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF", [*"yYnNtTfFoO"]),
    ("int", r"[-+]?(0b[01][01_]*|0x[0-9a-fA-F][0-9a-fA-F_]*|0o?[0-7][0-7_]*|0|[1-9][0-9_]*)", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", [*"-+."]),
    ("merge", r"<<", ["<"]),
)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with kubectl's scalars, for JSON's types alone."""

    # PyYAML's stubs give the anchor's name the type of the table of anchors.
    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set[str]()
        for key, _ in node.value:
            _check_key(key, seen)
            seen.add(key.value)
        return node

    def construct_yaml_bool(self, node: ScalarNode) -> bool:
        return node.value.lower() in ("y", "yes", "true", "on")

    def construct_yaml_str(self, node: ScalarNode) -> str:
        """Text; a character that JSON writes as two escapes (``\\ud83c\\udfac``) is one. A half alone is an error."""
        return str(super().construct_yaml_str(node)).encode("utf-16", "surrogatepass").decode("utf-16")

    def construct_yaml_float(self, node: ScalarNode) -> float:
        value = super().construct_yaml_float(node)
        if not math.isfinite(value):
            raise ConstructorError(None, None, f"JSON has no {node.value}", node.start_mark)
        return int(value) if value.is_integer() and abs(value) < 2**63 else value


_Loader.yaml_implicit_resolvers = {}
_Loader.yaml_constructors = {
    tag: construct for tag, construct in yaml.SafeLoader.yaml_constructors.items() if tag is None or tag in _JSON
}
for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor(f"{_TAG}str", _Loader.construct_yaml_str)
_Loader.add_constructor(f"{_TAG}bool", _Loader.construct_yaml_bool)
_Loader.add_constructor(f"{_TAG}float", _Loader.construct_yaml_float)


def _check_key(key: Node, seen: set[str]) -> None:
    if key.tag not in _KEYS:
        raise ComposerError(None, None, f"a key is text; write {key.value!r} in quotes", key.start_mark)
    if key.value in seen:
        raise ComposerError(None, None, f"the key {key.value!r} stands here twice", key.start_mark)


def _check_size(documents: list[Any]) -> None:
    """Refuse what is no text of JSON, or a huge one: an anchor may stand inside itself, and ten in ten others."""
    pieces = json.JSONEncoder().iterencode(documents)
    if sum(1 for _ in itertools.islice(pieces, MOST_VALUES + 1)) > MOST_VALUES:
        raise ValueError(f"its anchors stand for more than {MOST_VALUES} values")


def load_documents(text: str) -> list[Any]:
    """The documents of a YAML or JSON text, empty ones left out.

    Raises:
        yaml.YAMLError: it is not YAML, a key stands twice or is not text, or a value is none that JSON has.
    """
    try:
        documents = [document for document in yaml.load_all(text, _Loader) if document is not None]
        _check_size(documents)
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from None
    except RecursionError:
        raise yaml.YAMLError("it is nested hundreds of levels deep") from None
    return documents
