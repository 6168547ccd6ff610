"""What a machine needs to run real nodes, and a real browser: Linux, root, and a few of Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "sysctl": "procps",
}
"""Programs (found on the PATH, or where they lie) and the packages that bring them."""
BUILD_PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}
"""For building images where neither docker nor podman runs."""
BROWSER_PACKAGES = {
    "chromium": "chromium",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
}
"""For the tests of pages. Chromium does not ask for a font, and without one letters have no size."""


def check_machine() -> None:
    """See that this machine can run nodes.

    Raises:
        SystemExit: it cannot; with what to do.
    """
    if os.geteuid() != 0:
        sys.exit("Real nodes need root (namespaces, cgroups, mounts): run this as root, or with sudo -E.")
    if packages := missing(PACKAGES):
        sys.exit(f"Missing here: apt-get install --no-install-recommends {' '.join(packages)}")


def missing(wanted: dict[str, str]) -> list[str]:
    """Packages of programs that are not there."""
    return [package for name, package in wanted.items() if not shutil.which(name) and not Path(name).exists()]


def install_packages(wanted: dict[str, str]) -> None:
    """Install what is missing of it, with apt-get."""
    packages = missing(wanted)
    if not packages or os.geteuid() != 0 or not shutil.which("apt-get"):
        return  # check_machine says what is wrong
    print(f"Installing {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-qq", "--yes", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", *words], env=environment, stdout=subprocess.DEVNULL, check=True)
