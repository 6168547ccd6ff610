"""What an installation decides for all jobs."""

from __future__ import annotations

from dataclasses import dataclass, field

from mmaction_operator.api.defaults import TeamDefaults
from mmaction_operator.api.spec import CONTROLLER
from mmaction_operator.ports import PortRange


@dataclass(frozen=True)
class Settings:
    """What an installation decides for all jobs.

    Args:
        trainer_image: image of the pods, unless a job names one.
        pull_policy: when kubelets pull it; default: Kubernetes' own, by the image's tag.
        progress_url: where the first node of a job tells how far it is; empty: nowhere.
        audience: whom the pods' tokens are for.
        ports: what leases are cut from.
        name: what jobs call this installation in ``managedBy``.
        defaults: what jobs need not say.
    """

    trainer_image: str
    pull_policy: str = ""
    progress_url: str = ""
    audience: str = "mmaction-operator"
    ports: PortRange = field(default_factory=PortRange)
    name: str = CONTROLLER
    defaults: TeamDefaults = field(default_factory=TeamDefaults)

    def is_for(self, managed_by: str | None) -> bool:
        """Whether this installation takes care of a job, by what its ``managedBy`` says."""
        return (managed_by or CONTROLLER) == self.name
