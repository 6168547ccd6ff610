"""Whether trackers can be reported to: looked at before a rank starts, and before that in the preflight.

Both tools report to where their environment says. Without a key W&B would ask for one, which nobody in a pod answers;
without a URI MLflow would write into a folder that is gone with the run.
"""

from __future__ import annotations

import netrc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from mmaction_trainer.contract.checklist import together
from mmaction_trainer.contract.errors import ConfigFailure, Failure
from mmaction_trainer.contract.run import MLRUNS, Tracker

WANDB_HOST = "https://api.wandb.ai"
WITHOUT_A_KEY = ("offline", "dryrun", "disabled")
"""Of ``WANDB_MODE``: what reports to nobody."""

Environment = Mapping[str, str]


def check(trackers: Sequence[Tracker], environment: Environment) -> None:
    """See that each tracker is told where and as whom to report. Nothing is asked of any server.

    Raises:
        ConfigFailure: one is not; names the variable.
    """
    if found := faults(trackers, environment):
        raise together(found)


def faults(trackers: Sequence[Tracker], environment: Environment) -> list[Failure]:
    """Why trackers cannot be reported to, each that cannot."""
    found: list[Failure] = []
    for tracker in trackers:
        try:
            CHECKS[tracker](environment)
        except ConfigFailure as failure:
            found.append(failure)
    return found


def check_wandb(environment: Environment) -> None:
    """See that W&B has a key, or needs none.

    Raises:
        ConfigFailure: it has none.
    """
    keys = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
    if environment.get("WANDB_MODE") in WITHOUT_A_KEY or any(environment.get(key) for key in keys):
        return
    if not logged_in(environment):
        raise ConfigFailure(
            "WANDB_API_KEY",
            "not set, and spec.trackers has wandb",
            accepted="a key, or WANDB_MODE=offline to leave the run in the results for `wandb sync`",
            do="Give it with spec.pods.env from a Secret; on one machine, in the environment or by `wandb login`.",
        )


def logged_in(environment: Environment) -> bool:
    """Whether `wandb login` has left a key for the server, in the .netrc that W&B reads."""
    home = Path(environment.get("HOME", "/"))
    places = [Path(environment["NETRC"])] if environment.get("NETRC") else [home / ".netrc", home / "_netrc"]
    server = urlsplit(environment.get("WANDB_BASE_URL", WANDB_HOST)).netloc
    for place in places:
        try:
            if netrc.netrc(place).authenticators(server):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def check_mlflow(environment: Environment) -> None:
    """See that MLflow has a tracking URI.

    Raises:
        ConfigFailure: it has none.
    """
    if not environment.get("MLFLOW_TRACKING_URI"):
        raise ConfigFailure(
            "MLFLOW_TRACKING_URI",
            "not set, and spec.trackers has mlflow",
            accepted=f"a server's URI; with MLFLOW_ALLOW_FILE_STORE=true also file:{MLRUNS}, which goes to the results",
            do="Give it with spec.pods.env; on one machine, in the environment.",
        )


CHECKS: Mapping[Tracker, Callable[[Environment], None]] = {
    "tensorboard": lambda environment: None,  # it leaves files
    "wandb": check_wandb,
    "mlflow": check_mlflow,
}
