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
from mmaction_trainer.launch import weights
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
        checkpoint: the weights that were tested: their path in the results, or of a test alone their URI.
        sha256: their digest, as the results have it.
        objects: what of the results is needed to score a video.
    """

    place: Storage
    run: Run
    checkpoint: str
    sha256: str | None
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
        result = Result.model_validate(manifest.summary)
        checkpoint = result.checkpoint
        if checkpoint is None:
            raise StorageFailure(f"{place.uri}/{MANIFEST}", "names no checkpoint that was tested")
        run = Run.model_validate_json(place.read(layout.RUN))
        if run.data.media != "videos":
            raise ConfigFailure(place.uri, "its model reads folders of frames", accepted="a model of videos")
        needed = (*NEEDED, checkpoint) if run.trains else NEEDED
        objects = tuple(entry_of(path, manifest, place) for path in needed)
        return cls(place, run, checkpoint, result.checkpoint_sha256, objects)

    def bring(self, cache: Path) -> tuple[Path, Path]:
        """Have all that is needed on this machine: the folder that it is in, and the file of the checkpoint.

        Results in a folder are used where they are. Others are kept in the cache, and fetched again where they differ.

        Raises:
            StorageFailure: one of the objects is not what the manifest says, or the checkpoint not what was tested.
        """
        here = home(self.place, cache / "results")
        for entry in self.objects:
            path = here / entry.path
            problem = compare(entry, held(path))
            if problem and not isinstance(self.place, Folder):
                self.place.download(entry.path, path)
                problem = compare(entry, held(path))
            if problem:
                raise StorageFailure(self.place.uri, str(problem), do="Take another copy, or train again.")
        return here, here / self.checkpoint if self.run.trains else self.tested_weights(cache)

    def tested_weights(self, cache: Path) -> Path:
        """The file of weights that were tested and not trained: it lies where the job had it from."""
        assert self.run.pretrained
        file = weights.bring(self.run.pretrained, cache / "weights")
        if (found := digest(read_chunks(file))[1]) != self.sha256:
            raise StorageFailure(self.checkpoint, f"has sha256 {found[:12]}", accepted=f"{self.sha256}, as was tested")
        return file


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
