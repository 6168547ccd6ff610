"""Paths of a job file, made absolute: they are relative to the file, wherever the command is run from."""

from __future__ import annotations

from pathlib import Path

from mmaction_operator.api import TrainJob

NOT_PATHS = ("zoo", "none")


def resolve(job: TrainJob, folder: Path) -> TrainJob:
    """The job with every relative path of its spec resolved against the job file's folder."""
    spec = job.spec
    return job.model_copy(
        update={
            "spec": spec.model_copy(
                update={
                    "model": spec.model.model_copy(update={"pretrained": absolute(spec.model.pretrained, folder)}),
                    "dataset": spec.dataset.model_copy(update={"uri": absolute(spec.dataset.uri, folder)}),
                    "storage": spec.storage.model_copy(update={"uri": absolute(spec.storage.uri, folder)}),
                }
            )
        }
    )


def absolute(uri: str, folder: Path) -> str:
    """A URI as it is; a path as an absolute one."""
    if "://" in uri or uri in NOT_PATHS:
        return uri
    return str((folder / uri).resolve())
