"""Values drawn from the CRD's own schema. What it does not say, the models do: an object is drawn anew until its rules
hold. ``KNOWN`` has what neither says, so that enough of the jobs render.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mmaction_operator import zoo
from mmaction_operator.api.crd import resource_schema
from mmaction_operator.api.fields import APIModel
from mmaction_operator.api.schema import Schema, described, structural
from mmaction_operator.api.trainjob import Metadata

from .hostile import TEXTS

Path = tuple[str | int, ...]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KNOWN: dict[str, Sequence[Any]] = {
    "spec.model.config": zoo.names(),
    "spec.model.pretrained": ("zoo", "none", "s3://weights/mine.pth"),
    "spec.dataset.uri": ("s3://datasets/ucf101",),
    "spec.storage.uri": ("s3://results/team-a",),
    "spec.overrides": (
        {},
        {"model": {"cls_head": {"dropout_ratio": 0.25}}},
        {"optim_wrapper": {"clip_grad": {"max_norm": 20}}},
        {"train_dataloader": {"num_workers": 2}, "default_hooks.logger.interval": 5},
    ),
    "spec.pods.affinity": (
        {"nodeAffinity": {}},
        {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": None}},
        {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": "none"}},
        {"podAntiAffinity": ["none"]},
    ),
    "spec.pods.topologySpreadConstraints": (
        [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}],
    ),
}
"""Values with a meaning, of fields in which what is drawn blindly has none; three of four times they are drawn."""

MOST_TRIES = 1000


@cache
def schema() -> Schema:
    """What an author writes of a job: of its metadata what the product reads, and the spec as the CRD has it."""
    metadata = structural(described(Metadata))["properties"]
    written = {"type": "object", "required": ["name"], "properties": {"name": metadata["name"]}}
    return {"type": "object", "properties": {"metadata": written, "spec": resource_schema()["properties"]["spec"]}}


def fields(node: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every place that a schema declares, with its schema; ``*`` stands for an item, and for a key of a map."""
    yield path, node
    for name, below in node.get("properties", {}).items():
        yield from fields(below, (*path, name))
    for below in (node.get("items"), node.get("additionalProperties")):
        if isinstance(below, dict):
            yield from fields(below, (*path, "*"))


@cache
def texts(pattern: str, least: int, longest: int) -> tuple[str, ...]:
    """Texts that a pattern accepts: some by lot, and what of the hostile ones it lets pass."""
    drawn = _some(st.from_regex(pattern, fullmatch=True) if pattern else st.text())
    passing = [text for text in TEXTS if re.fullmatch(pattern or ".*", text, re.DOTALL)]
    return tuple(text for text in dict.fromkeys([*drawn, *passing]) if least <= len(text) <= longest)


@cache
def free_form() -> tuple[Any, ...]:
    """Any JSON."""
    return tuple(_some(JSON, 300))


def _some(strategy: st.SearchStrategy[Any], count: int = 60) -> list[Any]:
    """Values of a strategy, the same ones each time."""
    found = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def gather(value: Any) -> None:
        found.append(value)

    gather()
    return found


class Lot:
    """Draws values of a schema.

    Args:
        density: how likely a field is there that may be absent.
    """

    def __init__(self, chance: random.Random, density: float) -> None:
        self.chance, self.density = chance, density

    def value(self, node: Schema, path: Path, model: type[APIModel] | None = None) -> Any:
        """A value that the schema accepts, and the rules of the model."""
        known = KNOWN.get(".".join(map(str, path)))
        if known and self.chance.random() < 0.75:
            return deepcopy(self.chance.choice(known))
        if "enum" in node:
            return self.chance.choice(node["enum"])
        if "type" not in node:
            return deepcopy(self.chance.choice(free_form()))
        return getattr(self, node["type"])(node, path, model)

    def boolean(self, *_: Any) -> bool:
        return self.chance.random() < 0.3

    def integer(self, node: Schema, *_: Any) -> int:
        low, high = node.get("minimum", -(2**53)), node.get("maximum", 2**53)
        return self.chance.choice((low, high, min(low + 1, high), self.chance.randint(low, high)))

    def number(self, node: Schema, *_: Any) -> float:
        low, high = node.get("minimum", -1e9), node.get("maximum", 1e9)
        return self.chance.choice((high, low + 1e-9, self.chance.uniform(low, high), self.chance.randint(low, high)))

    def string(self, node: Schema, *_: Any) -> str:
        least, longest = node.get("minLength", 0), node.get("maxLength", 100)
        if self.chance.random() < 0.05:
            return self.text_of(node, longest)
        return self.chance.choice(texts(node.get("pattern", ""), least, longest))

    def text_of(self, node: Schema, length: int) -> str:
        """A text of so many characters that has the pattern."""
        text = self.chance.choice(texts(node.get("pattern", ""), 1, length))
        return text[0] * (length - len(text)) + text

    def array(self, node: Schema, path: Path, model: type[APIModel] | None) -> list[Any]:
        return [self.value(node["items"], (*path, "*"), model) for _ in range(self.count(node.get("maxItems", 9)))]

    def object(self, node: Schema, path: Path, model: type[APIModel] | None) -> dict[str, Any]:
        if isinstance(values := node.get("additionalProperties"), dict):
            keys = (self.chance.choice(texts("", 0, 400)) for _ in range(self.count(node.get("maxProperties", 9))))
            return {key: self.value(values, (*path, "*")) for key in keys}
        likely = self.density
        for _ in range(MOST_TRIES):
            drawn = {
                name: self.value(below, (*path, name), model_of(model, name))
                for name, below in node["properties"].items()
                if name in node.get("required", ()) or self.chance.random() < likely
            }
            if model is None or _holds(model, drawn):
                return drawn
            likely = self.chance.random()
        raise AssertionError(f"{'.'.join(map(str, path))}: no lot keeps the rules; give KNOWN some values that do")

    def count(self, most: int) -> int:
        """How many items: mostly few."""
        return most if self.chance.random() < 0.03 else min(most, self.chance.choice((0, 1, 1, 2, 3)))


def model_of(model: type[APIModel] | None, name: str) -> type[APIModel] | None:
    """The model of a field, or of the items of its list; None where it has none."""
    if model is None:
        return None
    annotation = next(f.annotation for n, f in model.model_fields.items() if name in (f.alias, n))
    kinds = (annotation, *getattr(annotation, "__args__", ()))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, APIModel)), None)


def _holds(model: type[APIModel], value: Any) -> bool:
    try:
        model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True
