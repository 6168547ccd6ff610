"""Which cluster a command means: kubectl's own options, and the way there.

The Kubernetes client is imported when a cluster is asked for and not before, so that everything else starts fast and
works where it is not installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmaction_trainer.contract.errors import Failure

if TYPE_CHECKING:
    from .cluster import Cluster

JobName = Annotated[str, typer.Argument(help="Name of a TrainJob on the cluster.", show_default=False)]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace of the job. Default: the context's.", show_default=False),
]
Context = Annotated[
    str | None,
    typer.Option("--context", help="Context of the kubeconfig. Default: the current one.", show_default=False),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        help="Default: the files that $KUBECONFIG names, as one; in a pod, its service account; ~/.kube/config.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]


class ClusterFailure(Failure):
    """The cluster cannot be reached, or says no."""

    name = "Cluster"
    remedy = "The message says what is at fault, the cluster, the credentials or the role; `kubectl` meets the same."


def connect(namespace: str | None, context: str | None, kubeconfig: Path | None) -> Cluster:
    """The cluster that is meant; nothing is asked of it yet.

    Raises:
        ClusterFailure: the Kubernetes client is not installed, or no kubeconfig says where a cluster is.
    """
    try:
        from .cluster import Cluster
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "kubernetes":
            raise
        raise ClusterFailure(
            "Python package kubernetes", "not installed", do="Install it: pip install 'mmaction-operator[operator]'."
        ) from None
    return Cluster.connect(namespace, context, kubeconfig)
