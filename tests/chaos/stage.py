"""What a disturbance needs: where it happens, the jobs, and time that passes while those are looked after."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from .drawing import Round
from .journal import Journal
from .scene import Part, Scene, Target
from .stream import Known, Stream

T = TypeVar("T")

SECONDS_FOR_A_TARGET = 60


class NothingThere(Exception):
    """There was nothing for a round to disturb."""


class Stage:
    """The scene of a run, its jobs and its journal."""

    def __init__(self, scene: Scene, stream: Stream, journal: Journal) -> None:
        self.scene, self.stream, self.journal = scene, stream, journal

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        deadline = time.monotonic() + seconds
        while True:
            self.stream.tend()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 1.0))

    def wait_for(self, found: Callable[[], list[T]]) -> list[T]:
        """What there is, once there is anything.

        Raises:
            NothingThere: there was nothing for a minute.
        """
        deadline = time.monotonic() + SECONDS_FOR_A_TARGET
        while not (there := found()):
            if time.monotonic() > deadline:
                raise NothingThere
            self.rest(1)
        return there

    def target(self, part: Part, round_: Round) -> Target:
        """The process that a round meets; whose job it is knows that it was met."""
        target = round_.of(self.wait_for(lambda: self.scene.targets(part)))
        self.meet(target.job, round_)
        return target

    def job(self, round_: Round) -> Known:
        """The job that a round meets."""
        job = round_.of(self.wait_for(lambda: [each for each in self.stream.open if each.status]))
        self.meet(job.name, round_)
        return job

    def meet(self, job: str, round_: Round) -> None:
        """Note that a job was met by a disturbance."""
        self.stream.known[job].met.add(round_.kind)


Disturbance = Callable[[Stage, Round], str]
"""Does what its name says; returns to whom."""
