"""An OCI image layout: images in a folder, their blobs named by digest."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

REFERENCE = "org.opencontainers.image.ref.name"
CONTAINERDS_NAME = "io.containerd.image.name"

Descriptor = dict[str, Any]
"""What names a blob: mediaType, digest, size, annotations."""


@dataclass(frozen=True)
class Layout:
    """The images in a folder."""

    folder: Path

    def references(self) -> dict[str, Descriptor]:
        """Images by their reference."""
        index = self.folder / "index.json"
        manifests = json.loads(index.read_text())["manifests"] if index.exists() else []
        return {manifest["annotations"][REFERENCE]: manifest for manifest in manifests}

    def keep(self, references: Iterable[str]) -> None:
        """Forget every other image, and remove the blobs that none of these needs."""
        known = self.references()
        kept = [known[reference] for reference in references]
        unfinished = self.folder / ".index.json"
        unfinished.write_text(json.dumps({"schemaVersion": 2, "manifests": kept}))
        unfinished.replace(self.folder / "index.json")
        needed = {digest for manifest in kept for digest in self.blobs(manifest)}
        for blob in (self.folder / "blobs" / "sha256").iterdir():
            if f"sha256:{blob.name}" not in needed:
                blob.unlink()

    def read(self, digest: str) -> Any:
        """A blob that is JSON."""
        return json.loads(self.path(digest).read_text())

    def path(self, digest: str) -> Path:
        """The file of a blob."""
        return self.folder / "blobs" / Path(*digest.split(":"))

    def layers(self, manifest: Descriptor) -> list[tuple[str, str]]:
        """Layers of an image, lowest first: digest of the blob, and chain id (the layer and all below it)."""
        content = self.read(manifest["digest"])
        contents = self.read(content["config"]["digest"])["rootfs"]["diff_ids"]
        return list(zip((layer["digest"] for layer in content["layers"]), chain_ids(contents), strict=True))

    def blobs(self, manifest: Descriptor) -> Iterator[str]:
        """Digests of everything that an image is made of."""
        content = self.read(manifest["digest"])
        yield from (manifest["digest"], content["config"]["digest"], *(layer["digest"] for layer in content["layers"]))

    def write_archive(self, reference: str, unpacked: Collection[str], output: IO[bytes]) -> None:
        """Write one image as an archive that containerd imports.

        Args:
            reference: which one.
            unpacked: chain ids of layers that are there already; their blobs are left out.
            output: where to.
        """
        manifest = self.references()[reference]
        named = manifest | {"annotations": {CONTAINERDS_NAME: reference}}
        left_out = {digest for digest, chain in self.layers(manifest) if chain in unpacked}
        with tarfile.open(fileobj=output, mode="w|") as archive:
            for name, content in (
                ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
                ("index.json", {"schemaVersion": 2, "manifests": [named]}),
            ):
                add_bytes(archive, name, json.dumps(content).encode())
            for digest in self.blobs(manifest):
                if digest not in left_out:
                    archive.add(self.path(digest), arcname=self.path(digest).relative_to(self.folder))


def chain_ids(contents: Iterable[str]) -> list[str]:
    """Names of each layer together with all below it, as the OCI image specification computes them."""
    chains: list[str] = []
    for content in contents:
        below = f"{chains[-1]} {content}" if chains else None
        chains.append(f"sha256:{hashlib.sha256(below.encode()).hexdigest()}" if below else content)
    return chains


def add_bytes(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Put a file into an archive."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def write_static_image(layout: Layout, reference: str, programs: dict[str, Path], command: list[str]) -> None:
    """Put an image of static programs into a layout: one layer, no base."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        for inside, program in programs.items():
            add_bytes(files, inside, program.read_bytes(), 0o755)
    tar = put(layout, layer.getvalue(), "application/vnd.oci.image.layer.v1.tar")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": command},
        "rootfs": {"type": "layers", "diff_ids": [tar["digest"]]},
    }
    described = put(layout, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = {"schemaVersion": 2, "config": described, "layers": [tar]}
    named = put(layout, json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    named["annotations"] = {REFERENCE: reference}
    index = {"schemaVersion": 2, "manifests": [*layout.references().values(), named]}
    (layout.folder / "index.json").write_text(json.dumps(index))


def put(layout: Layout, content: bytes, media_type: str) -> Descriptor:
    """Put a blob into a layout."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    layout.path(digest).parent.mkdir(parents=True, exist_ok=True)
    unfinished = layout.path(digest).with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.rename(layout.path(digest))
    return {"mediaType": media_type, "digest": digest, "size": len(content)}
