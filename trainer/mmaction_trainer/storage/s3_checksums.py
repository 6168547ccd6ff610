"""What an S3 server says of an object's content, and when that proves that it holds what was sent.

A file goes up with sha256 checksums. A server that keeps the protocol refuses content that differs from them, and HEAD
reports them afterwards:

- an object sent in one piece: its sha256, of type FULL_OBJECT;
- an object sent in parts: the sha256 of the parts' digests with the number of parts (``...=-3``), of type COMPOSITE.
  It is not the file's sha256, but it is computed here too while the file is read, and equal composites mean equal
  parts.

Not every server keeps the protocol. rclone's sends the checksum header of a single-piece upload back without ever
comparing it with the content (measured with 1.75), and old ones report nothing. A type is never sent by the client of
a single-piece upload, so a server that states one has understood what it says; one that states none proves nothing,
and the object is read back instead.

What comes down is compared with its ETag, which is the MD5 of an object that was sent in one piece and is not encrypted
with a key of its own; all servers keep to that, as the tools of old compare it too. Of other objects the size alone is
known.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.errors import StorageFailure
from .disk import CHUNK, read_chunks

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

PART = 16 * CHUNK
"""Bytes in a part of a large upload; a file up to this size goes up in one piece."""

MOST_PARTS = 10_000
"""S3's own limit."""


def part_size(size: int) -> int:
    """Bytes in each part of a file of ``size`` bytes: whole PARTs, so many that S3's limit of parts is kept."""
    return PART * max(1, -(-size // (PART * MOST_PARTS)))


@dataclass(frozen=True)
class Fingerprint:
    """A file's content: its size in bytes, its sha256 in hex, and what a server reports for it (base64)."""

    size: int
    sha256: str
    reported: str

    @property
    def in_parts(self) -> bool:
        """Whether a file of this size is sent in parts."""
        return self.size > PART


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint of a file, in one reading. Raises OSError."""
    size, cut = 0, part_size(path.stat().st_size)
    whole, parts = hashlib.sha256(), [hashlib.sha256()]
    for chunk in read_chunks(path):
        if size and size % cut == 0:  # Every chunk but the last is CHUNK long, and CHUNK divides PART.
            parts.append(hashlib.sha256())
        size += len(chunk)
        whole.update(chunk)
        parts[-1].update(chunk)
    if size <= PART:
        return Fingerprint(size, whole.hexdigest(), base64(whole.digest()))
    composite = base64(hashlib.sha256(b"".join(part.digest() for part in parts)).digest())
    return Fingerprint(size, whole.hexdigest(), f"{composite}-{len(parts)}")


def base64(digest: bytes) -> str:
    """A digest as S3's headers carry it."""
    return b64encode(digest).decode()


def proves(checksum: str | None, kind: str | None, sent: Fingerprint) -> bool:
    """Whether HEAD's ``ChecksumSHA256`` and ``ChecksumType`` prove that the server holds what was sent."""
    return checksum == sent.reported and (sent.in_parts or kind == "FULL_OBJECT")


def stated_md5(answer: GetObjectOutputTypeDef) -> str | None:
    """The MD5 in hex that an answer to GET states for the whole object; None where its ETag is something else."""
    encrypted = answer.get("SSECustomerAlgorithm") or str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
    etag = answer.get("ETag", "").strip('"')
    return etag if not encrypted and re.fullmatch("[0-9a-f]{32}", etag) else None


def check_md5(path: Path, answer: GetObjectOutputTypeDef, where: str) -> None:
    """See that what arrived is what the server holds, as far as it states that.

    Raises:
        StorageFailure: it is not.
    """
    if (stated := stated_md5(answer)) is None:
        return
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 != stated:
        raise StorageFailure(
            where,
            f"arrived damaged: its MD5 is {md5}",
            accepted=f"{stated}, as its ETag says",
            do="Run it again; if it stays so, the object is damaged in storage, or its ETag is no MD5.",
        )


def refused_checksums(code: str, message: str) -> bool:
    """Whether a server refused an upload because it does not know checksum headers, as R2 and B2 did for long."""
    return code in ("NotImplemented", "501") or (
        code in ("InvalidArgument", "InvalidRequest") and "checksum" in message.lower()
    )
