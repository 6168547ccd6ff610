"""Images in containerd, unpacked once on this machine and then shared by every node of every cluster.

The trainer's image holds torch: gigabytes, and a minute to unpack. So a containerd of our own imports the images into a
folder in the user's cache, its *seed*, and a node's containerd starts as a copy of that: the two small databases are
copied, layers are mounted read-only where the databases say that they are, and what the node itself pulls or writes
lies in its own folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from .namespaces import run
from .process import running
from .programs import cache_folder, program, user_cache
from .times import timed

PAUSE = "localhost/pause:1"
METADATA = "io.containerd.metadata.v1.bolt/meta.db"
CONTENT = "io.containerd.content.v1.content"
SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs"
LAYER = 1 << 20
"""Larger content is a layer's archive: it is unpacked, and nothing asks for it again."""


def seed_of(archives: Sequence[Path]) -> Path:
    """The folder of a containerd that has these images and the pause image; made if it is not there.

    Args:
        archives: docker-archive files; their names tell their contents apart.
    """
    archives = [pause_archive(), *archives]
    version = run("containerd", "--version").strip()
    name = hashlib.sha256("\n".join([version, *sorted(archive.name for archive in archives)]).encode()).hexdigest()[:16]
    folder = user_cache() / "containerd" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make_seed(archives, folder)
    return folder


def make_seed(archives: Sequence[Path], folder: Path) -> None:
    """Import archives into a new containerd, whose folder is there only once that is done."""
    unfinished = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    config, socket = unfinished / "config.toml", unfinished / "containerd.sock"
    config.write_text(
        f'version = 2\nroot = "{unfinished}/root"\nstate = "{unfinished}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
        f'[plugins."io.containerd.internal.v1.opt"]\n  path = "{unfinished}/opt"\n'
    )
    ctr = ("ctr", "--address", socket, "--namespace", "k8s.io")
    with running("containerd", ["unshare", "--mount", "containerd", "--config", config], unfinished) as process:
        process.wait_until(socket.exists)
        for archive in archives:
            with timed(f"{archive.name} unpacked, once"):
                run(*ctr, "images", "import", archive)
        blobs = list((unfinished / "root" / CONTENT / "blobs" / "sha256").iterdir())
        run(*ctr, "content", "rm", *(f"sha256:{blob.name}" for blob in blobs if blob.stat().st_size > LAYER))
        process.stop()
    (unfinished / "root").rename(folder)
    shutil.rmtree(unfinished)


def mounts_from(seed: Path, root: Path) -> list[list[str]]:
    """Make ``root`` a containerd's folder like ``seed``; the mounts that this still takes, as commands."""
    for database in (METADATA, f"{SNAPSHOTS}/metadata.db"):
        (root / database).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(seed / database, root / database)
    written = {name: root / f".content-{name}" for name in ("upper", "work")}
    for folder in (root / CONTENT, *written.values()):
        folder.mkdir()
    layers = f"lowerdir={seed / CONTENT},upperdir={written['upper']},workdir={written['work']}"
    commands = [["mount", "-t", "overlay", "overlay", "-o", layers, str(root / CONTENT)]]
    for snapshot in sorted((seed / SNAPSHOTS / "snapshots").iterdir()):
        target = root / SNAPSHOTS / "snapshots" / snapshot.name
        target.mkdir(parents=True)
        commands.append(["mount", "--bind", "-o", "ro", str(snapshot), str(target)])
    return commands


def pause_archive() -> Path:
    """The image of a pod's first container, which holds its namespaces."""
    archive = cache_folder() / f"pause-{cache_folder().name}.tar"
    if not archive.exists():
        unfinished = archive.with_suffix(f".{os.getpid()}")
        write_archive(unfinished, PAUSE, {"pause": program("pause")}, ["/pause"])
        unfinished.rename(archive)
    return archive


def write_archive(path: Path, name: str, programs: dict[str, Path], command: list[str]) -> None:
    """Write an image of static programs as a docker-archive."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        for inside, program in programs.items():
            content = program.read_bytes()
            entry = tarfile.TarInfo(inside)
            entry.size, entry.mode = len(content), 0o755
            files.addfile(entry, io.BytesIO(content))
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    members = {
        "layer.tar": layer.getvalue(),
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(path, "w") as archive:
        for inside, content in members.items():
            entry = tarfile.TarInfo(inside)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
