"""The product's images, built here: with docker or podman where one works, else on a base made of Debian's packages."""

from __future__ import annotations

import os
from pathlib import Path

from scripts import base_image, images


def product_images() -> list[Path]:
    """Archives of the operator's and the trainer's image, of the code as it is; built if they are not there."""
    builder = builder_here()
    return [images.archive(name, builder) for name in images.IMAGES]


def names(archives: list[Path]) -> dict[str, str]:
    """What the images in archives are called, by ``operator`` and ``trainer``."""
    return {archive.name.partition("-")[0]: images.reference_in(archive) for archive in archives}


def builder_here() -> images.Builder:
    """How images are built on this machine: buildah needs neither a daemon nor a registry, so it goes first."""
    certificates = images.default_certificates(os.environ)
    return images.Builder(images.engine_of("buildah"), base_image.base_image(), "chroot", certificates)
