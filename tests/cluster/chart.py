"""What the chart grants, without its pods: for a controller that runs as a process beside a cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from .api_server import ApiServer
from .programs import program

CHART = Path(__file__).parents[2] / "charts" / "mmaction-operator"
CRD = CHART / "files" / "trainjobs.mmaction.dev.yaml"
ACCOUNT = "mmaction-operator"
"""Name of the chart's service account, and of its own lease, in a release of that name."""
SHOWN = ("--show-only=templates/rbac.yaml", "--show-only=templates/serviceaccount.yaml")


def privileges(server: ApiServer, namespace: str) -> list[dict[str, Any]]:
    """The chart's roles, bindings and service account."""
    version = server.request("GET", "/version").body["gitVersion"]
    where = (f"--namespace={namespace}", f"--kube-version={version}")
    command = [str(program("helm")), "template", ACCOUNT, str(CHART), *where, *SHOWN]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [item for item in yaml.safe_load_all(made) if item]


def account_of_chart(server: ApiServer, namespace: str) -> Path:
    """The kubeconfig of the chart's service account, made in a namespace."""
    server.apply(*privileges(server, namespace))
    token = server.kubectl("create", "token", ACCOUNT, f"--namespace={namespace}")
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token.strip()}
    path = server.folder / "controller.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path
