"""The product's images, built here on a base of Debian's packages, and kept as one OCI image layout.

buildah needs neither a daemon nor a registry. The layout holds every layer once, whichever images it is of: a change of
our code writes and unpacks that layer alone, and not torch's gigabytes again.
"""

from __future__ import annotations

import fcntl
import os
import subprocess

from scripts import base_image, images

from .layout import Layout
from .programs import user_cache
from .times import timed


def product_images() -> dict[str, str]:
    """References of the operator's and the trainer's image, of the code as it is; built if they are not there.

    Of several processes that ask at once, one builds.
    """
    certificates = images.default_certificates(os.environ)
    builder = images.Builder(images.engine_of("buildah"), base_image.base_image(), "chroot", certificates)
    layout = product_layout()
    references = {}
    with (layout.folder.parent / ".layout.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in images.IMAGES:
            tag = images.digest(name, builder.base_image_id(name))
            references[name] = images.reference(name, tag)
            if references[name] not in layout.references():
                add(layout, builder, name, tag)
        layout.keep(references.values())
    return references


def product_layout() -> Layout:
    """Where the images are kept."""
    folder = user_cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return Layout(folder)


def add(layout: Layout, builder: images.Builder, name: str, tag: str) -> None:
    """Build an image and copy what the layout lacks of it."""
    with timed(f"{name} image built"):
        reference = builder.build(name, tag)
        push = ["buildah", "push", "--quiet", reference, f"oci:{layout.folder}:{reference}"]
        subprocess.run(push, stdout=2, check=True)
        builder.forget(name, keep=tag)
