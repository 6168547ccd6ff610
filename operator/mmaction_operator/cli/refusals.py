"""What an API server's answer, or its silence, means to somebody at a command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmaction_operator.kube import Conflict, Forbidden, Invalid, KubeError, NotFound, Refused, Unauthorized
from mmaction_trainer.contract.errors import ConfigFailure, Failure

from .connecting import ClusterFailure

INSTALL = (
    "Install the operator (docs/cluster.md): helm install mmaction charts/mmaction-operator "
    "--namespace mmaction-system --create-namespace."
)
OTHER_SCHEMA = "field not declared in schema"
"""What a server says of an applied field that its schema lacks; with status 500, as if that were its own trouble."""


@contextmanager
def refusals(server: str) -> Iterator[None]:
    """Turn what goes wrong between the body and the API server at this URL into failures."""
    try:
        yield
    except KubeError as error:
        raise failure_of(error, server) from error


def failure_of(error: KubeError, server: str) -> Failure:
    """The failure for an error of the API server at this URL."""
    if isinstance(error, Refused):
        return failure_of_refusal(error, server)
    found = f"no answer: {str(error).rpartition('no answer: ')[2]}"
    if "CERTIFICATE_VERIFY_FAILED" in found:
        do = "Its certificate is not one that the kubeconfig trusts: ask whoever runs the cluster for a new kubeconfig."
    else:
        do = (
            "Check that the cluster runs and that this machine may reach it (VPN, proxy); `kubectl cluster-info` asks "
            "the same server. Another cluster: --context or --kubeconfig."
        )
    return ClusterFailure(server, found, do=do)


def failure_of_refusal(error: Refused, server: str) -> Failure:
    """The failure for an answer that says no."""
    said = f"{error.code} {error.reason}: {error.message}"
    if isinstance(error, NotFound) and is_unknown_resource(error):
        return ClusterFailure(server, "it does not know TrainJobs", do=INSTALL)
    if isinstance(error, Unauthorized):
        return ClusterFailure(server, f"these credentials are not valid ({said})", do="Log in to the cluster again.")
    if isinstance(error, Forbidden):
        return ClusterFailure(server, f"not allowed ({said})", do=what_a_role_needs(error))
    if OTHER_SCHEMA in error.message:
        return ConfigFailure(
            "TrainJob",
            error.message,
            do="The cluster knows another version of TrainJobs: upgrade the operator there, or leave that field out.",
        )
    if isinstance(error, Invalid):
        return ConfigFailure("TrainJob", fields_of(error))
    return ClusterFailure(server, said, do=what_helps(error))


def what_helps(error: Refused) -> str:
    """What to do about an answer that no role and no other file changes."""
    if isinstance(error, Conflict):
        return (
            "These fields were set by somebody else, or by another command (kubectl apply): use that one again, submit "
            "the job under another name, or delete it first: kubectl delete trainjob NAME."
        )
    if isinstance(error, NotFound):
        return "Create it, or name another: -n, --context, --kubeconfig."
    return "Try again in a while; if it stays so, ask whoever runs the cluster."


def is_unknown_resource(error: NotFound) -> bool:
    """Whether there is no such kind of object, rather than no such object."""
    return not (error.status.get("details") or {}).get("name")


def what_a_role_needs(error: Forbidden) -> str:
    """What to do about a missing role; an admission plugin's refusal says itself what is wrong."""
    if "cannot" not in error.message:
        return ""
    return "Ask whoever runs the cluster for a role that allows it; `kubectl auth can-i --list` shows yours."


def fields_of(error: Invalid) -> str:
    """The server's own words, field by field where it names some."""
    causes = (error.status.get("details") or {}).get("causes") or ()
    named = [f"{cause['field']}: {cause['message']}" for cause in causes if cause.get("field") and cause.get("message")]
    return "; ".join(named) or error.message
