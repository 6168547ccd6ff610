"""What the steps of the renderer hand on: a config under construction, and what the user should know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from . import tree
from .tree import Config, Path

STAGES = ("train", "val", "test")
"""Each has a ``<stage>_pipeline`` and a ``<stage>_dataloader``."""
TEST_ALONE = ("test",)
"""The stages of a job that trains nothing."""


@dataclass(frozen=True)
class Draft:
    """A config under construction. Every method returns another draft.

    Attributes:
        config: shared with other drafts and with the zoo entry: never changed in place.
        warnings: sentences for the user about what the renderer decided, in the order it did.
        stages: those that the job runs. The pipelines of the others are here all the same, until ``finished``: that of
            training says what the model was made for.
    """

    config: Config
    warnings: tuple[str, ...] = ()
    stages: tuple[str, ...] = STAGES

    @property
    def trains(self) -> bool:
        """Whether the job trains anything."""
        return "train" in self.stages

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

    def transforms(self) -> list[Config]:
        """The transforms of all pipelines that the job runs."""
        return [transform for stage in self.stages for transform in self.get(f"{stage}_pipeline")]

    def finished(self) -> Config:
        """The config of the stages that the job runs."""
        idle = {f"{stage}_pipeline" for stage in STAGES if stage not in self.stages}
        return {key: value for key, value in self.config.items() if key not in idle}
