"""The cgroups of a node: one subtree in every hierarchy, so that kubelets on one machine do not share pods' cgroups."""

from __future__ import annotations

import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PREFIX = "mmaction-tests-"


def name(slot: str, node: str) -> str:
    """The name of a node's subtree."""
    return f"{PREFIX}{slot}-{node}"


def hierarchies() -> list[Path]:
    """Where cgroups are mounted: once on a machine with version 2, once for each controller with version 1."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [
        folder for folder in sorted(ROOT.iterdir()) if (folder / "cgroup.procs").exists() and not folder.is_symlink()
    ]


def create(cgroup: str) -> None:
    """Make a subtree in every hierarchy, ready for a kubelet."""
    for hierarchy in hierarchies():
        folder = hierarchy / cgroup
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / setting).exists() and (folder / setting).exists():
                (folder / setting).write_text((hierarchy / setting).read_text())
        if (hierarchy / "cgroup.subtree_control").exists():
            enable_controllers(hierarchy)


def enable_controllers(hierarchy: Path) -> None:
    """Version 2: let children of the root have every controller that it has."""
    if controllers := (hierarchy / "cgroup.controllers").read_text().split():
        (hierarchy / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))


def remove(slot: str) -> None:
    """Remove every subtree of a slot; its processes have ended, though the kernel may take a moment to notice."""
    for hierarchy in hierarchies() if ROOT.exists() else []:
        for subtree in hierarchy.glob(f"{PREFIX}{slot}-*"):
            for folder, _, _ in os.walk(subtree, topdown=False):
                remove_one(Path(folder))


def remove_one(folder: Path, within: float = 10) -> None:
    """Remove one cgroup, once it is empty."""
    deadline = time.monotonic() + within
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
