"""``run.json`` of an attempt: what the trainer is told, the same on a cluster and on one machine."""

from __future__ import annotations

from mmaction_operator.api import TrainJob
from mmaction_operator.api.spec import DatasetSpec
from mmaction_operator.render import Rendered
from mmaction_trainer.contract.run import DataSource, JobIdentity, Rendezvous, Run, World


def run_of(job: TrainJob, rendered: Rendered, identity: JobIdentity, rendezvous: Rendezvous) -> Run:
    """Everything an attempt of a job is told beside its config."""
    resources = job.spec.resources
    return Run(
        job=identity,
        world=World(
            nodes=resources.nodes,
            processes_per_node=resources.ranks_per_node,
            device="cuda" if resources.gpus_per_node else "cpu",
        ),
        rendezvous=rendezvous,
        data=data_source(job.spec.dataset, rendered),
        pretrained=rendered.weights,
        results_uri=results_uri(job.spec.storage.uri, identity),
        model=job.spec.model.config,
        frames=rendered.sees.text,
        warnings=rendered.warnings,
        config_sha256=rendered.sha256,
        epochs=rendered.epochs,
        effective_lr=rendered.effective_lr,
        val_protocol=rendered.val_protocol,
        test_protocol=rendered.test_protocol,
        trackers=tuple(job.spec.trackers),
        resume=job.spec.resume,
        keep_checkpoints=job.spec.training.keep_checkpoints,
    )


def identity_of(job: TrainJob, attempt: int = 1) -> JobIdentity:
    """Which job and attempt this is; the job is one that a cluster has, with a uid."""
    metadata = job.metadata
    return JobIdentity(namespace=metadata.namespace, name=metadata.name, uid=metadata.uid or "", attempt=attempt)


def results_uri(root: str, identity: JobIdentity) -> str:
    """Where a job's results go: a place that no other job ever has."""
    return f"{root.rstrip('/')}/{identity.namespace}/{identity.name}/{identity.uid}"


def data_source(dataset: DatasetSpec, rendered: Rendered) -> DataSource:
    """The data set in the trainer's terms."""
    lists = dataset.lists
    return DataSource(
        uri=dataset.uri,
        format=dataset.format,
        split=dataset.split,
        num_classes=dataset.classes,
        train=lists and lists.train,
        val=lists and lists.val,
        test=lists and lists.test,
        videos=dataset.videos,
        media=rendered.media,
        decode=dataset.decode,
        leakage=dataset.leakage,
        corrupt=dataset.corrupt_videos,
        max_skipped=dataset.skipped_share,
        frames=rendered.sees.frames,
        span=rendered.sees.span,
        test_alone=not rendered.epochs,
    )
