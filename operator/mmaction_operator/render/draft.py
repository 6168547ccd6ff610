"""What the steps of the renderer hand on: a config under construction, and what the user should know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from . import tree
from .tree import Config, Path

STAGES = ("train", "val", "test")
"""Each has a ``<stage>_pipeline`` and a ``<stage>_dataloader``."""


@dataclass(frozen=True)
class Draft:
    """A config under construction. Every method returns another draft.

    Attributes:
        config: shared with other drafts and with the zoo entry: never changed in place.
        warnings: sentences for the user about what the renderer decided, in the order it did.
    """

    config: Config
    warnings: tuple[str, ...] = ()

    def get(self, path: str | Path, default: Any = None) -> Any:
        """What lies at a path."""
        return tree.get(self.config, path, default)

    def put(self, path: str | Path, value: Any) -> Draft:
        """With ``value`` at a path."""
        return replace(self, config=tree.put(self.config, path, value))

    def drop(self, path: str | Path) -> Draft:
        """Without what lies at a path."""
        return replace(self, config=tree.drop(self.config, path))

    def warn(self, sentence: str) -> Draft:
        """With one more warning."""
        return replace(self, warnings=(*self.warnings, sentence))

    def pipeline(self, stage: str, change: Callable[[list[Config]], list[Config]]) -> Draft:
        """With one stage's pipeline changed; ``recipe`` made the top-level one the only one until ``finish``."""
        path = f"{stage}_pipeline"
        return self.put(path, change(self.get(path)))

    def pipelines(self, change: Callable[[list[Config]], list[Config]]) -> Draft:
        """With every stage's pipeline changed."""
        draft = self
        for stage in STAGES:
            draft = draft.pipeline(stage, change)
        return draft
