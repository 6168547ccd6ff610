"""Checkpoints on their way to storage while the ranks train, and back when an attempt goes on from them.

A thread looks for what the ranks saved and sends the newest, each under a name that its content gives; then the list
of those that are whole. So the list never names what is not there, and whoever reads it at any moment finds a
checkpoint to go on from. Storage that fails costs no training: the newest checkpoint is sent again until it is there.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.checkpoints import (
    INDEX,
    PREFIX,
    ResumePoint,
    Saved,
    StoredCheckpoint,
    StoredCheckpoints,
    StoredFile,
)
from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.contract.run import Run
from mmaction_trainer.storage import OnBytes, StorageAway, open_storage
from mmaction_trainer.storage.checkpoints import forget, found, receive
from mmaction_trainer.storage.disk import digest, read_chunks

SECONDS_BETWEEN_LOOKS = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two tries to send, where storage fails: 1, doubled with each."""
OUTGOING = "outgoing"


class CheckpointUpload:
    """Sends what the ranks save, from ``start`` to ``finish``.

    Args:
        run: what this attempt was told.
        run_dir: the ranks' working directory.
        data_sha256: digest of the data set.
    """

    def __init__(self, run: Run, run_dir: Path, data_sha256: str) -> None:
        self.run_dir, self.attempt, self.keep = run_dir, run.job.attempt, run.keep_checkpoints
        self.data_sha256 = data_sha256
        self.storage = open_storage(f"{run.results_uri}/{PREFIX}")
        held = [] if run.resume == "Never" else found(self.storage, data_sha256)
        self.whole = tuple(each for attempt, each in held if attempt == self.attempt)  # it was suspended
        self.sent: Saved | None = None
        self.has_sent = False
        self.ending, self.given_up = threading.Event(), False
        self.thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self.thread.start()

    def finish(self, within: float) -> bool:
        """Send what is newest now, and return whether it is there; after ``within`` seconds nobody waits any more."""
        self.ending.set()
        self.thread.join(within)
        self.given_up = self.thread.is_alive()
        return not self.given_up and self.sent == self._newest()

    def abandon(self) -> None:
        """Send nothing more: the results are there."""
        self.given_up = True
        self.ending.set()
        self.thread.join()

    def _work(self) -> None:
        pause = SECONDS_BETWEEN_LOOKS
        while not self.given_up:
            ending, failed = self.ending.is_set(), False
            try:
                self.send_newest()
                pause = SECONDS_BETWEEN_LOOKS
            except Exception as failure:  # whatever it is, it costs no training
                print(f"warning: the newest checkpoint is not in storage yet: {failure}", flush=True)
                pause, failed = min(2 * pause, LONGEST_PAUSE), True
            if ending and not failed:
                return
            if self.ending.wait(pause) and failed:  # whoever waits for the end says for how long
                time.sleep(min(pause, 2.0))

    def send_newest(self) -> None:
        """Send the newest checkpoint, unless it was sent, and the list of those that are whole.

        Raises:
            StorageFailure: storage does not take them; what it held before stays whole.
        """
        saved = self._newest()
        if saved is None or saved == self.sent:
            return
        try:
            names = [saved.file, *filter(None, [saved.best])]
            links = [self._linked(name) for name in names]
        except FileNotFoundError:
            return  # a newer one has taken its place: the next look sees it
        if saved.written not in (None, links[0].stat().st_mtime_ns):
            return  # likewise, under the same name
        files = [self._send(link, name) for link, name in zip(links, names, strict=True)]
        newest = StoredCheckpoint(
            checkpoint=files[0],
            best=files[1] if saved.best else None,
            epoch=saved.epoch,
            iteration=saved.iteration,
        )
        before = self.whole
        older = [each for each in before if each.iteration != newest.iteration]
        self.whole = (newest, *older)[: self.keep]
        index = StoredCheckpoints(
            attempt=self.attempt,
            saved_at=datetime.now(UTC),
            data_sha256=self.data_sha256,
            checkpoints=self.whole,
        )
        self.storage.write(f"{self.attempt}/{INDEX}", index.to_json().encode())
        self.sent = saved
        kept = {file.key for each in self.whole for file in each.files}
        for key in {file.key for each in before for file in each.files} - kept:
            self.storage.delete(key)
        if not self.has_sent:
            self.has_sent = True
            forget(self.storage, keep=self.attempt)

    def _newest(self) -> Saved | None:
        path = self.run_dir / layout.SAVED
        return Saved.read(path) if path.exists() else None

    def _linked(self, name: str) -> Path:
        """The file under a name that stays when the ranks remove or replace theirs."""
        link = self.run_dir / OUTGOING / name
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        os.link(self.run_dir / layout.WORK / name, link)
        return link

    def _send(self, path: Path, name: str) -> StoredFile:
        """Send a file, unless storage has it from an earlier checkpoint."""
        size, sha256 = digest(read_chunks(path))
        key = f"{self.attempt}/{Path(name).stem}-{sha256[:8]}{Path(name).suffix}"
        file = StoredFile(key=key, file=name, size=size, sha256=sha256)
        if not any(file == held for each in self.whole for held in each.files):
            held = self.storage.upload(path, key, self._on_bytes)
            if (held.size, held.sha256) != (size, sha256):
                raise StorageFailure(f"{self.storage.uri}/{key}", "changed while it was sent")
        path.unlink()
        return file

    def _on_bytes(self, count: int) -> None:
        if self.given_up:
            raise StorageFailure(self.storage.uri, "the upload was given up")


def bring(run: Run, run_dir: Path, data_sha256: str, on_bytes: OnBytes | None = None) -> ResumePoint | None:
    """Have the furthest checkpoint that is whole in ``work/``, and say so in ``resume.json``; None to begin anew.

    Raises:
        DataFailure: they are of another data set than that of this digest.
        StorageAway: storage does not give them now.
        StorageFailure: there are checkpoints and none is whole; or the job must go on from one and there is none.
    """
    (run_dir / layout.RESUME).unlink(missing_ok=True)
    if run.resume == "Never" or not run.trains:
        return None
    storage = open_storage(f"{run.results_uri}/{PREFIX}")
    offered = found(storage, data_sha256)
    for attempt, each in offered:
        try:
            receive(storage, each, run_dir / layout.WORK, on_bytes)
        except StorageAway:
            raise  # it may be whole
        except StorageFailure as failure:
            print(f"warning: a checkpoint is passed over: {failure}", flush=True)
            continue
        point = ResumePoint(
            attempt=attempt,
            epoch=each.epoch,
            iteration=each.iteration,
            file=each.checkpoint.file,
            best=each.best.file if each.best else None,
        )
        point.write(run_dir / layout.RESUME)
        print(f"Goes on from {point.file} of attempt {attempt}: {point.iteration} iterations are done.", flush=True)
        return point
    if offered:
        raise StorageFailure(
            storage.uri,
            f"none of its {len(offered)} checkpoints is whole",
            do="Mend them; or submit the job under another name to begin anew.",
        )
    if run.resume == "Required" and run.job.attempt > 1:
        raise StorageFailure(
            storage.uri,
            f"no checkpoint, and spec.resume is Required in attempt {run.job.attempt}",
            do="The attempts before saved none; with IfPossible this one would begin anew.",
        )
    return None
