"""Names that MMAction2's list files can hold, and the folder where videos answer to them.

``VideoDataset`` splits a line at every space, and ``DecordInit`` puts .mp4 after a name without an extension. A video
whose own name would not survive that gets another one, a link in a folder of links; as most data sets have no such
name, most often that folder is not needed.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

UNWRITABLE = re.compile(r"[\s\ud800-\udfff]")
"""White space, and bytes of a file name that are not UTF-8 (as Python shows them)."""
RENAMED = "renamed"
LINKS = "links"
KEPT = 24
"""Characters that another name keeps of a name and of an extension: with a digest they fit in 255 bytes."""


def listed_name(path: str, *, extension: bool) -> str:
    """The name of a path in a list: the path itself, or a stable other one where MMAction2 would misread it.

    Args:
        path: path below the videos' folder.
        extension: whether a name needs one, as videos do and folders of frames do not.
    """
    stem, suffix = posixpath.splitext(path)
    wanted = suffix or (".mp4" if extension else "")
    if wanted == suffix and not UNWRITABLE.search(path):
        return path
    digest = hashlib.sha256(path.encode(errors="surrogatepass")).hexdigest()[:16]
    folder, name = posixpath.split(stem)
    return UNWRITABLE.sub("_", posixpath.join(RENAMED, folder, f"{name[:KEPT]}-{digest}{wanted[-KEPT:]}"))


def link_videos(link: Path, videos: Path, names: Mapping[str, str]) -> None:
    """Make ``link`` lead to a folder where every video has its listed name.

    Args:
        link: replaced if it is there.
        videos: the folder that holds the videos.
        names: each video's listed name, by its path in that folder.
    """
    if all(path == name for path, name in names.items()):
        point(link, videos.absolute())
        return
    links = link.with_name(LINKS)
    if links.exists():
        shutil.rmtree(links)
    linked = set(names.values())
    for path, name in names.items():
        # A folder inside a linked folder is there already; a link would be made in the user's own data.
        if linked.isdisjoint(map(str, PurePosixPath(name).parents)):
            (links / name).parent.mkdir(parents=True, exist_ok=True)
            (links / name).symlink_to(videos.absolute() / path)
    point(link, Path(LINKS))


def point(link: Path, target: Path) -> None:
    """Make a symbolic link, in place of another if need be."""
    link.parent.mkdir(parents=True, exist_ok=True)
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    os.replace(beside, link)
