"""Names of objects and URIs of storages, taken apart and joined in one place, so that no name leaves its storage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..contract.errors import ConfigFailure, StorageFailure

# What S3 servers accept between them: Amazon's rule is stricter, but MinIO's and Ceph's old buckets exist.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ACCEPTED = "s3://bucket/prefix, file:///folder, or a folder's path"


@dataclass(frozen=True)
class S3Location:
    """A place in an S3 server; ``prefix`` has no slash at either end and may be empty."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """The location as a URI."""
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"


def key_fault(key: str) -> str:
    """What is wrong with a key; empty when nothing is."""
    parts = key.split("/")
    if key.startswith("/"):
        return "starts with a slash"
    if ".." in parts:
        return "leaves the storage through '..'"
    if "" in parts or "." in parts:
        return "has an empty name or '.' between slashes"
    if "\0" in key or any("\ud800" <= letter <= "\udfff" for letter in key):
        return "cannot be written as UTF-8"
    return ""


def join(uri: str, prefix: str, key: str) -> str:
    """``key`` below ``prefix``.

    Raises:
        StorageFailure: the key does not stay below it; ``uri`` is the place that the message names.
    """
    if fault := key_fault(key):
        raise StorageFailure(uri, f"object name {key!r} {fault}", accepted="names joined by single slashes")
    return f"{prefix}/{key}" if prefix else key


def locate(uri: str) -> S3Location | Path:
    """Take a storage's URI apart.

    S3 URIs are taken as they stand, without percent-decoding, as the AWS command line takes them.

    Raises:
        ConfigFailure: the URI names no place that this product can store at.
    """
    scheme = _SCHEME.match(uri)
    if not scheme:
        if not uri or "\0" in uri:
            raise ConfigFailure("storage URI", f"{uri!r}", accepted=_ACCEPTED)
        return Path(uri).absolute()
    if scheme[1] == "s3":
        return _locate_s3(uri)
    if scheme[1] == "file":
        parts = urlsplit(uri)
        if parts.netloc in ("", "localhost") and parts.path and not parts.query and not parts.fragment:
            return Path(unquote(parts.path)).absolute()
        raise ConfigFailure(uri, "not the URI of a folder on this machine", accepted="file:///folder")
    raise ConfigFailure(f"{scheme[1]}://...", "no storage of this kind", accepted=_ACCEPTED)


def _locate_s3(uri: str) -> S3Location:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    if "@" in bucket:
        raise ConfigFailure(
            "s3://...@...", "credentials in the URI", do="Give them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if not _BUCKET.fullmatch(bucket):
        raise ConfigFailure(uri, f"bucket name {bucket!r}", accepted="s3://bucket/prefix")
    if prefix and (fault := key_fault(prefix)):
        raise ConfigFailure(uri, f"prefix {prefix!r} {fault}", accepted="s3://bucket/prefix")
    return S3Location(bucket, prefix)
