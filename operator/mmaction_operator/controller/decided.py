"""What was decided about a job, and how its status is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mmaction_operator.api import TrainJob
from mmaction_operator.api.status import TrainJobStatus
from mmaction_operator.api.trainjob import API_VERSION, KIND
from mmaction_operator.kube import Object
from mmaction_operator.plan import Course, is_over
from mmaction_operator.render import Rendered
from mmaction_trainer.contract.errors import ConfigFailure


@dataclass(frozen=True)
class Decided:
    """What is to be done and said about a job.

    Attributes:
        stored: the job as the API server has it.
        job: the same, read.
        port: leased for the attempt that it is at.
        status: what is to be said.
        at: when it was decided.
    """

    stored: Object
    job: TrainJob
    rendered: Rendered | ConfigFailure
    course: Course
    port: int | None
    status: TrainJobStatus
    at: datetime

    @property
    def uid(self) -> str:
        """The job's."""
        return str(self.stored["metadata"]["uid"])

    @property
    def before(self) -> TrainJobStatus:
        """What was said last; empty where nothing was."""
        return self.job.status or TrainJobStatus()

    @property
    def created(self) -> datetime:
        """When the job was."""
        return datetime.fromisoformat(self.stored["metadata"]["creationTimestamp"])

    @property
    def is_record(self) -> bool:
        """Whether the status holds what nothing else in the cluster may hold later: it comes before any act."""
        return is_over(self.status) or self.status.failures != self.before.failures

    @property
    def manifest(self) -> Object:
        """What is applied to write the status; the uid keeps it off another job of the same name."""
        metadata = {name: self.stored["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": metadata,
            "status": self.status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
