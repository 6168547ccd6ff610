"""What a job on a cluster cannot mean: a folder or file of somebody's machine."""

from __future__ import annotations

from mmaction_operator.api import TrainJob
from mmaction_trainer.contract.errors import ConfigFailure

S3 = "s3://"
FETCHED = (S3, "http://", "https://")
"""Where a pod can fetch a checkpoint from."""


def refuse_paths(job: TrainJob) -> None:
    """Refuse folders and files that a pod does not see.

    An absolute path may lie in the image, where the job names one of its own.

    Raises:
        ConfigFailure: the first field that has one.
    """
    spec = job.spec
    uses = [
        ("spec.dataset.uri", spec.dataset.uri, (S3,), True),
        ("spec.storage.uri", spec.storage.uri, (S3,), False),
        ("spec.model.pretrained", spec.model.pretrained, FETCHED, True),
    ]
    for field, uri, accepted, in_image in uses:
        if uri.startswith(accepted) or (field == "spec.model.pretrained" and uri in ("zoo", "none")):
            continue
        if in_image and spec.pods.image and uri.startswith("/"):
            continue
        raise ConfigFailure(
            field,
            f"{uri} is a path of a machine, where no pod of a cluster sees it",
            accepted=", ".join(f"{scheme}..." for scheme in accepted),
            do="Upload it (docs/cluster.md), or run the job here: trainjob run.",
        )
