"""What trainers say of their progress, until a reconcile writes it down. The newest wins; a lost one costs nothing."""

from __future__ import annotations

import threading

from mmaction_trainer.contract.progress import Progress


class ProgressBoard:
    """The newest progress of each job's attempt. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, Progress]] = {}
        self._lock = threading.Lock()

    def put(self, uid: str, attempt: int, progress: Progress) -> bool:
        """Keep what a trainer says, unless a newer attempt or a newer word of it is known; whether it was kept."""
        with self._lock:
            known = self._newest.get(uid)
            if known and (known[0], known[1].observed_at) > (attempt, progress.observed_at):
                return False
            self._newest[uid] = attempt, progress
            return True

    def get(self, uid: str, attempt: int) -> Progress | None:
        """The newest that an attempt said."""
        with self._lock:
            known = self._newest.get(uid)
        return known[1] if known and known[0] == attempt else None

    def forget(self, uid: str) -> None:
        """Drop what is known of a job that is over."""
        with self._lock:
            self._newest.pop(uid, None)
