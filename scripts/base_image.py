"""Makes a base image of Debian's own packages, for machines that reach a Debian mirror and no image registry.

    python scripts/base_image.py    print its name; make it with debootstrap if buildah does not have it yet

Needs root (debootstrap makes a system with its own owners), and the Debian packages debootstrap and buildah. The mirror
is the one that this machine's apt uses. The image holds what python:3.11-slim-bookworm holds for our Dockerfiles; it
comes without Debian's later security updates, so build what you publish on that one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SUITE = "bookworm"
PYTHON = "python3.11"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What apt downloads again and nobody reads in a container, and what debootstrap takes over from this machine: its name,
# its resolver, its mirror. Licences (usr/share/doc/*/copyright) stay.
DROPPED = (
    "var/cache/apt/*",
    "var/lib/apt/lists/*",
    "var/log/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "usr/share/info/*",
    "usr/share/doc/*/[!c]*",
    "usr/share/doc/*/changelog*",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/apt/sources.list",
    "dev/*",
)


class Refused(Exception):
    """Something is missing; the message says what to do."""


def base_image() -> str:
    """The name of the base image in buildah's storage; made if it is not there."""
    name = f"localhost/debian-python:{recipe()}"
    require_programs()
    with (Path(tempfile.gettempdir()) / "mmaction-operator-base-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not present(name):
            make(name, mirror(index_targets()))
    return name


def recipe() -> str:
    """16 hexadecimal digits that change with what the image is made of."""
    return hashlib.sha256(json.dumps([SUITE, PYTHON, PACKAGES, PATH, DROPPED]).encode()).hexdigest()[:16]


def require_programs() -> None:
    """Refuse where a base image cannot be made."""
    if os.geteuid():
        raise Refused("making a base image needs root: debootstrap sets owners. Run this as root, once")
    if missing := [name for name in ("debootstrap", "buildah", "unshare") if not shutil.which(name)]:
        raise Refused(f"{' and '.join(missing)} not found: apt-get install debootstrap buildah util-linux")


def present(name: str) -> bool:
    """Whether buildah has an image of that name."""
    return (
        subprocess.run(["buildah", "inspect", "--type=image", name], capture_output=True, check=False).returncode == 0
    )


def index_targets() -> str:
    """The package lists that this machine's apt knows: a line each of release, component and address."""
    words = ("--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
    return _output("apt-get", "indextargets", *words)


def mirror(targets: str) -> str:
    """The address of the mirror that has the suite's main component.

    Args:
        targets: what ``index_targets`` returned.
    """
    for line in targets.splitlines():
        release, component, address = line.split(maxsplit=2)
        if (release, component) == (SUITE, "main"):
            return address
    raise Refused(f"apt's sources on this machine have no `{SUITE} main`, whose Python is {PYTHON}: add it")


def make(name: str, mirror: str) -> None:
    """Make the image and give it to buildah."""
    with tempfile.TemporaryDirectory(prefix="base-image-") as folder:
        root, layer = Path(folder) / "root", Path(folder) / "layer.tar"
        # What debootstrap mounts in the system ends with its mount namespace, however debootstrap ends: the folder is
        # removed afterwards, and a /proc must not be in it then.
        install = ("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), mirror)
        _run("unshare", "--mount", *install)
        found = (root / "usr/bin/python3").readlink().name
        assert found == PYTHON, f"{SUITE} at {mirror} has {found}, not {PYTHON}"
        for pattern in DROPPED:
            for path in list(root.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        # An archive, since buildah gives copied folders to root: some programs belong to a group, and run as it.
        _run("tar", "--create", "--numeric-owner", "--directory", str(root), "--file", str(layer), ".")
        commit(name, layer)


def commit(name: str, layer: Path) -> None:
    """Make an image of one layer."""
    container = _output("buildah", "from", "scratch").strip()
    try:
        _run("buildah", "add", "--quiet", container, str(layer), "/")
        _run("buildah", "config", "--env", f"PATH={PATH}", "--cmd", "python3", container)
        _run("buildah", "commit", "--quiet", container, name)
    finally:
        _run("buildah", "rm", container)


def _run(*command: str) -> None:
    """Run a program, its output on stderr: stdout is for the image's name."""
    _check(command, subprocess.run(command, stdout=2, check=False).returncode)


def _output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    _check(command, done.returncode)
    return done.stdout


def _check(command: Sequence[str], code: int) -> None:
    if code:
        raise Refused(f"{' '.join(command)} failed with exit code {code}; it says why above")


def main() -> int:
    try:
        print(base_image())
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
