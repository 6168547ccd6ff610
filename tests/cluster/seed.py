"""Images in containerd, unpacked once on this machine and then shared by every node of every cluster.

The trainer's image holds torch: gigabytes, and a minute to unpack. So a containerd of our own imports images into a
folder in the user's cache, a *seed*, and a node's containerd starts as a copy of one: the two small databases are
copied, layers are mounted read-only where the databases say that they are, and what the node itself pulls or writes
lies in its own folder. A new seed begins as a copy of an old one that shares its files: only new layers are unpacked.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from .layout import Layout, write_static_image
from .namespaces import run
from .process import running
from .programs import cache_folder, program, user_cache
from .times import timed

PAUSE = "localhost/pause:1"
METADATA = Path("io.containerd.metadata.v1.bolt/meta.db")
CONTENT = Path("io.containerd.content.v1.content")
SNAPSHOTS = Path("io.containerd.snapshotter.v1.overlayfs")
DATABASES = (METADATA, SNAPSHOTS / "metadata.db")
CONTENTS = "contents"
"""File of a seed that says what is in it."""
LAYER = 1 << 20
"""Larger content is a layer's archive: it is unpacked, and nothing asks for it again."""

Images = Mapping[str, Layout]
"""Where images are, by their references."""


@contextmanager
def hold_seed(images: Images) -> Iterator[Path]:
    """The folder of a containerd that has these images and the pause image; made if there is none.

    It stays as long as somebody holds it, and until another one is made.
    """
    images = {**images, PAUSE: pause_layout()}
    wanted = set(describe(images))
    folder = user_cache() / "containerd"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with (folder / ".lock").open("w") as making:
            fcntl.flock(making, fcntl.LOCK_EX)
            seeds = sorted(folder.glob("????????????????"), key=lambda seed: seed.stat().st_mtime, reverse=True)
            seed = next((seed for seed in seeds if wanted <= set((seed / CONTENTS).read_text().splitlines())), None)
            if not seed:
                seed = folder / hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()[:16]
                make_seed(images, seed, seeds[0] if seeds else None)
                for other in seeds:
                    remove_unless_held(other)
            holding = stack.enter_context(seed.with_name(f"{seed.name}.lock").open("w"))
            fcntl.flock(holding, fcntl.LOCK_SH)
        yield seed


def describe(images: Images) -> Iterator[str]:
    """What tells seeds apart: which containerd wrote it, and its images."""
    yield run("containerd", "--version").strip()
    for reference, layout in images.items():
        yield f"{reference} {layout.references()[reference]['digest']}"


def remove_unless_held(seed: Path) -> None:
    """Remove a seed that no cluster uses."""
    with seed.with_name(f"{seed.name}.lock").open("w") as holding:
        if is_free(holding):
            shutil.rmtree(seed)
            seed.with_name(f"{seed.name}.lock").unlink()


def is_free(lock: IO[str]) -> bool:
    """Take a lock that nobody has."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_seed(images: Images, folder: Path, earlier: Path | None) -> None:
    """Unpack images with a containerd of its own; ``folder`` is there only once that is done."""
    unfinished = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "root").mkdir(parents=True)
    if earlier:
        copy_sharing_files(earlier, unfinished / "root")
    config, socket = unfinished / "config.toml", unfinished / "containerd.sock"
    config.write_text(
        f'version = 2\nroot = "{unfinished}/root"\nstate = "{unfinished}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
        f'[plugins."io.containerd.internal.v1.opt"]\n  path = "{unfinished}/opt"\n'
    )
    with (
        timed(f"images unpacked for nodes ({'what is new' if earlier else 'all'})"),
        running("containerd", ["unshare", "--mount", "containerd", "--config", config], unfinished) as process,
    ):
        process.wait_until(socket.exists)
        fill(Containerd(socket), images, unfinished / "root" / CONTENT)
        process.stop()
    (unfinished / "root" / CONTENTS).write_text("\n".join(describe(images)))
    (unfinished / "root").rename(folder)
    shutil.rmtree(unfinished)


def copy_sharing_files(seed: Path, root: Path) -> None:
    """Copy a seed: files are shared, as nobody writes to them, but for the databases."""
    run("cp", "--archive", "--link", f"{seed}/.", root)
    for database in DATABASES:
        (root / database).unlink()
        shutil.copyfile(seed / database, root / database)
    (root / CONTENTS).unlink()


class Containerd:
    """A containerd that answers at a socket."""

    def __init__(self, socket: Path) -> None:
        self.ctr = ["ctr", "--address", str(socket), "--namespace", "k8s.io"]

    def listed(self, kind: str) -> list[str]:
        """Names of its images, or keys of its snapshots."""
        return [line.split()[0] for line in run(*self.ctr, kind, "ls").splitlines()[1:]]

    def load(self, reference: str, layout: Layout) -> None:
        """Import an image; of its layers, only those that are not unpacked yet."""
        command = [*self.ctr, "images", "import", "-"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as load:
            assert load.stdin
            assert load.stderr
            layout.write_archive(reference, self.listed("snapshots"), load.stdin)
            load.stdin.close()
            said = load.stderr.read().decode()
        if load.returncode:
            raise RuntimeError(f"{reference} cannot be imported: {said}")


def fill(containerd: Containerd, images: Images, content: Path) -> None:
    """Make a containerd have these images and no other."""
    present = containerd.listed("images")
    for reference, layout in images.items():
        if reference not in present:
            containerd.load(reference, layout)
    if superfluous := [reference for reference in present if reference not in images]:
        run(*containerd.ctr, "images", "rm", "--sync", *superfluous)
    blobs = list((content / "blobs" / "sha256").iterdir())
    if layers := [f"sha256:{blob.name}" for blob in blobs if blob.stat().st_size > LAYER]:
        run(*containerd.ctr, "content", "rm", *layers)


def mounts_from(seed: Path, root: Path) -> list[list[str]]:
    """Make ``root`` a containerd's folder like ``seed``; the mounts that this still takes, as commands.

    A containerd that ran there goes on with what it had.
    """
    for database in DATABASES:
        if not (root / database).exists():
            (root / database).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(seed / database, root / database)
    written = {name: root / f".content-{name}" for name in ("upper", "work")}
    for folder in (root / CONTENT, *written.values()):
        folder.mkdir(exist_ok=True)
    layers = f"lowerdir={seed / CONTENT},upperdir={written['upper']},workdir={written['work']}"
    commands = [["mount", "-t", "overlay", "overlay", "-o", layers, str(root / CONTENT)]]
    for snapshot in sorted((seed / SNAPSHOTS / "snapshots").iterdir()):
        target = root / SNAPSHOTS / "snapshots" / snapshot.name
        target.mkdir(parents=True, exist_ok=True)
        commands.append(["mount", "--bind", "-o", "ro", str(snapshot), str(target)])
    return commands


def pause_layout() -> Layout:
    """The image of a pod's first container, which holds its namespaces."""
    layout = Layout(cache_folder() / "pause-image")
    with (cache_folder() / ".pause-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if PAUSE not in layout.references():
            write_static_image(layout, PAUSE, {"pause": program("pause")}, ["/pause"])
    return layout
