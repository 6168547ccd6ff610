"""A cluster to work with, and the programs of the tests, from the command line: ``make cluster`` and its siblings."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import machine, slot
from .clusters import Cluster, start_cluster
from .product import product_images, product_layout
from .programs import build_all, program

FOLDER = Path(__file__).parents[2] / ".cluster"
PID, ENVIRONMENT, LOG = FOLDER / "pid", FOLDER / "env", FOLDER / "log"
BUCKETS = ("datasets", "results")
NEXT = f"""\
Next, from {FOLDER.parent}: the operator, and a job on CPU with its clips and Secret (pods reach S3 at S3_IN_PODS).

    source .venv/bin/activate
    source .cluster/env          # in every shell, and again after a change of the code: images have its digest as tag
    kubectl get nodes
    helm install mmaction charts/mmaction-operator --namespace mmaction-system --create-namespace \\
      --set image.repository=${{OPERATOR_IMAGE%:*}} --set image.tag=${{OPERATOR_IMAGE##*:}} \\
      --set trainer.image.repository=${{TRAINER_IMAGE%:*}} --set trainer.image.tag=${{TRAINER_IMAGE##*:}}
    python -m examples.demo.clips tests/data/clips actions
    python -c 'import boto3, pathlib
for file in pathlib.Path("actions").rglob("*.*"):
    boto3.client("s3").upload_file(str(file), "datasets", file.as_posix())'
    kubectl create secret generic s3-credentials --from-literal=AWS_ENDPOINT_URL=$S3_IN_PODS \\
      --from-literal=AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID --from-literal=AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY
    trainjob submit examples/cpu.yaml --watch
    trainjob results get cpu results/cpu        # and open results/cpu/report/index.html
    trainjob leaderboard s3://results/team-a

`make cluster-down` ends all of it; what is in its S3 server goes too."""


def up() -> None:
    """Start a cluster that stays, and say how to use it."""
    if running() is not None:
        sys.exit(f"A cluster of this checkout runs already: source {ENVIRONMENT}, or `make cluster-down` first.")
    machine.install_packages(machine.PACKAGES | machine.BUILD_PACKAGES)
    machine.check_machine()
    print("Images of this code are built first: five minutes the first time, one after a change.", flush=True)
    FOLDER.mkdir(exist_ok=True)
    ENVIRONMENT.unlink(missing_ok=True)
    with LOG.open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster", "keep"],
            cwd=FOLDER.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    PID.write_text(str(keeper.pid))
    try:
        follow(keeper)
    except KeyboardInterrupt:
        keeper.terminate()
        keeper.wait()
        sys.exit("Stopped; nothing is left.")
    print(f"\nA cluster of two nodes runs, and an S3 server that has the buckets {', '.join(BUCKETS)}.\n")
    print(ENVIRONMENT.read_text().replace("export ", "    "))
    print(NEXT)


def follow(keeper: subprocess.Popen[bytes]) -> None:
    """Show what the keeper says until its cluster is there."""
    shown = 0
    while not ENVIRONMENT.exists():
        text = LOG.read_text()
        print(text[shown:], end="", flush=True)
        shown = len(text)
        if keeper.poll() is not None:
            print(LOG.read_text()[shown:], end="")
            sys.exit("No cluster: see above.")
        time.sleep(0.2)
    print(LOG.read_text()[shown:], end="", flush=True)


def keep() -> None:
    """Be the process that a cluster lives and ends with."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    images = product_images()
    with start_cluster(images=dict.fromkeys(images.values(), product_layout())) as cluster:
        write_environment(cluster, images)
        signal.pause()


def write_environment(cluster: Cluster, images: dict[str, str]) -> None:
    """Write what a shell needs to work with the cluster."""
    for bucket in BUCKETS:
        cluster.s3.bucket(bucket)
    tools = FOLDER / "bin"
    tools.mkdir(exist_ok=True)
    for name in ("kubectl", "helm"):
        (tools / name).unlink(missing_ok=True)
        (tools / name).symlink_to(program(name))
    variables = {
        "KUBECONFIG": str(cluster.server.kubeconfig),
        "PATH": f"{tools}:$PATH",
        **cluster.s3.environment(),
        "S3_IN_PODS": cluster.s3_in_pods,
        **{f"{name.upper()}_IMAGE": reference for name, reference in images.items()},
    }
    unfinished = ENVIRONMENT.with_suffix(".new")
    unfinished.touch(mode=0o600)
    unfinished.write_text("".join(f'export {name}="{value}"\n' for name, value in variables.items()))
    unfinished.rename(ENVIRONMENT)


def down() -> None:
    """End the cluster of this checkout, and whatever a killed one left on this machine."""
    pid = running()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        while running() is not None:
            time.sleep(0.1)
    slot.clear_abandoned()
    for file in (PID, ENVIRONMENT):
        file.unlink(missing_ok=True)
    print("No cluster of this checkout runs." if pid is None else "The cluster is gone.")


def running() -> int | None:
    """The process that keeps this checkout's cluster, if one does."""
    try:
        pid = int(PID.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if b"tests.cluster" in words else None


def build() -> None:
    """Build every program that the tests run."""
    print(build_all())


def packages() -> None:
    """Install the Debian packages that real nodes and a real browser need."""
    machine.install_packages(machine.PACKAGES | machine.BUILD_PACKAGES | machine.BROWSER_PACKAGES)
    machine.check_machine()


COMMANDS = {"up": up, "keep": keep, "down": down, "build": build, "packages": packages}


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    command = COMMANDS.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if not command:
        sys.exit(f"python -m tests.cluster {' | '.join(COMMANDS)}")
    command()


if __name__ == "__main__":
    main()
