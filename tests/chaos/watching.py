"""What must never be, looked for all the while: two attempts of one job at once, one port for two."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .invariants import of_jobs, of_processes
from .journal import Journal
from .scene import UNANSWERED, Scene

SECONDS_BETWEEN_LOOKS = 1.0


@contextmanager
def watching(scene: Scene, journal: Journal) -> Iterator[None]:
    """Somebody looks while the body runs; what is found is in the journal."""
    ended = threading.Event()
    watch = threading.Thread(target=look_until, args=(ended, scene, journal), name="watch", daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def look_until(ended: threading.Event, scene: Scene, journal: Journal) -> None:
    """Look again and again."""
    while not ended.wait(SECONDS_BETWEEN_LOOKS):
        try:
            look(scene, journal)
        except UNANSWERED:  # the API server is down for long
            continue
        except Exception as error:  # whoever reads that all held has to know that nobody looked
            journal.problem(f"nobody watches: {error!r}")
            raise


def look(scene: Scene, journal: Journal) -> None:
    """Look once."""
    for problem in of_jobs(scene.found("jobs")):
        journal.problem(problem)
    running = [
        (each.job, each.attempt, word.removeprefix("--rendezvous="))
        for each in scene.targets("launcher")
        for word in each.process.words
        if word.startswith("--rendezvous=")
    ]
    for problem in of_processes(running):
        journal.problem(problem)
    journal.count("work", "looks of the watch")
