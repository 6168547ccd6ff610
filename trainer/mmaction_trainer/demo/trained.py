"""What of a run's results scores a video: the config, the names of the classes and the tested checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import ConfigFailure, StorageFailure
from mmaction_trainer.contract.result import Result
from mmaction_trainer.contract.run import Run
from mmaction_trainer.data.fetching import home
from mmaction_trainer.evaluate.predictions import lines
from mmaction_trainer.storage import MANIFEST, Entry, Manifest, ObjectMissing, Storage, Stored, read_manifest
from mmaction_trainer.storage.disk import digest, read_chunks
from mmaction_trainer.storage.folder import Folder
from mmaction_trainer.storage.manifest import compare

NEEDED = (layout.CONFIG, layout.CLASSES)


@dataclass(frozen=True)
class Trained:
    """A run that ended well.

    Attributes:
        place: its results.
        run: what it was told.
        checkpoint: path in the results of the weights that were tested.
        objects: what is needed to score a video.
    """

    place: Storage
    run: Run
    checkpoint: str
    objects: tuple[Entry, ...]

    @classmethod
    def at(cls, place: Storage) -> Self:
        """What stands in results, by their manifest; no more than run.json is read yet.

        Raises:
            StorageFailure: there is no manifest, or it has no tested checkpoint.
            ConfigFailure: the model was trained on folders of frames.
        """
        try:
            manifest = read_manifest(place)
        except ObjectMissing as missing:
            raise ObjectMissing(
                missing.where,
                missing.found,
                accepted="results of a job that succeeded",
                do="`trainjob results list URI` lists those below a storage.uri.",
            ) from None
        checkpoint = Result.model_validate(manifest.summary).checkpoint
        if checkpoint is None:
            raise StorageFailure(f"{place.uri}/{MANIFEST}", "names no checkpoint that was tested")
        run = Run.model_validate_json(place.read(layout.RUN))
        if run.data.media != "videos":
            raise ConfigFailure(place.uri, "its model reads folders of frames", accepted="a model of videos")
        return cls(place, run, checkpoint, tuple(entry_of(path, manifest, place) for path in (*NEEDED, checkpoint)))

    def bring(self, cache: Path) -> Path:
        """Have the objects on this machine, each as the manifest says; the folder that they are in.

        Results in a folder are used where they are. Others are kept in the cache, and fetched again where they differ.

        Raises:
            StorageFailure: one of them is not what the manifest says.
        """
        here = home(self.place, cache / "results")
        for entry in self.objects:
            path = here / entry.path
            if compare(entry, held(path)) and not isinstance(self.place, Folder):
                self.place.download(entry.path, path)
            if problem := compare(entry, held(path)):
                raise StorageFailure(self.place.uri, str(problem), do="Take another copy, or train again.")
        return here


def entry_of(path: str, manifest: Manifest, place: Storage) -> Entry:
    """What the manifest says of an object.

    Raises:
        StorageFailure: nothing.
    """
    for entry in manifest.objects:
        if entry.path == path:
            return entry
    raise StorageFailure(f"{place.uri}/{MANIFEST}", f"has no {path}")


def held(path: Path) -> Stored | None:
    """Size and digest of a file; None where there is none."""
    return Stored(path.name, *digest(read_chunks(path))) if path.is_file() else None


def classes_in(folder: Path) -> list[str]:
    """Names of the classes by their numbers."""
    return lines(folder / layout.CLASSES)
