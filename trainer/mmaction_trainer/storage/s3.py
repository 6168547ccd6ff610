"""An S3 bucket, or a part of one, as storage: Amazon's, MinIO's, Ceph's, or any server that speaks the protocol.

Where the server is and who asks come from the usual places of the AWS tools: AWS_ENDPOINT_URL, AWS_REGION,
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the shared config files, a web identity, the instance's role.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypedDict

from botocore.exceptions import ClientError

from ..contract.errors import StorageFailure
from .disk import CHUNK, date, digest, replacing, save
from .failures import disk_failures
from .interface import OnBytes, Stored
from .keys import S3Location, join
from .s3_checksums import Fingerprint, base64, check_md5, fingerprint, proves, refused_checksums
from .s3_client import PAUSE_SECONDS, connect
from .s3_failures import BROKEN_OFF, code_of, message_of, s3_failures
from .s3_transfer import LARGE_DOWNLOAD, receive_in_parts, send_in_parts

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

TRIES = 5
"""How often an answer may break off before its object is given up; what did arrive is not asked for again."""


class _Checksum(TypedDict, total=False):
    ChecksumSHA256: str


class S3:
    """The objects below a prefix of a bucket."""

    def __init__(self, location: S3Location, client: S3Client) -> None:
        self.location, self._client = location, client
        self._sends_checksums = True

    @classmethod
    def at(cls, location: S3Location) -> S3:
        """The storage at a location. Asks the server nothing yet."""
        with s3_failures(location.uri):
            return cls(location, connect())

    @property
    def uri(self) -> str:
        """``s3://bucket/prefix``."""
        return self.location.uri

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Every object below ``prefix``, a page at a time, less the empty objects that mark folders."""
        top = self.location.prefix
        below = self._key(prefix) if prefix else top
        with self._failures():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=f"{below}/" if below else ""
            )
            for page in pages:
                for found in page.get("Contents", []):
                    if found["Key"].endswith("/"):
                        continue
                    key = found["Key"].removeprefix(f"{top}/" if top else "")
                    join(self.uri, top, key)  # A foreign name such as a/../../b must not reach a local path.
                    yield Stored(key, found["Size"], modified=_seconds(found.get("LastModified")))

    def stat(self, key: str) -> Stored | None:
        """The object's size, or None."""
        name = self._key(key)
        with self._failures(key):
            try:
                head = self._client.head_object(Bucket=self.location.bucket, Key=name)
                size, modified = head["ContentLength"], head.get("LastModified")
            except ClientError:
                # The answer to HEAD has no body, so it cannot say which thing is missing or refused. GET's does.
                try:
                    answer = self._get(key)
                except ClientError as error:
                    if code_of(error) in ("NoSuchKey", "404"):
                        return None
                    raise
                answer["Body"].close()
                size, modified = answer["ContentLength"], answer.get("LastModified")
        return Stored(key, size, modified=_seconds(modified))

    def read(self, key: str) -> bytes:
        """The object's content."""
        return b"".join(self._chunks(key))

    def digest(self, key: str) -> Stored:
        """Size and sha256 of the object, by reading it; what HEAD reports may be older than the content."""
        return Stored(key, *digest(self._chunks(key)))

    def write(self, key: str, content: bytes) -> None:
        """Make ``content`` the object."""
        with self._failures(key):
            self._with_or_without_checksums(lambda: self._put(key, content, hashlib.sha256(content).digest()))

    def download(self, key: str, path: Path, on_bytes: OnBytes | None = None) -> Stored:
        """Copy the object to a file, a large one in several ranges at a time, and compare the MD5 if one is stated."""
        name = self._key(key)
        with self._failures(key):
            answer = self._get(key)
            size = answer["ContentLength"]
            with replacing(path) as beside:
                if size > LARGE_DOWNLOAD:
                    answer["Body"].close()
                    receive_in_parts(self._client, self.location.bucket, name, beside, on_bytes)
                else:
                    save(self._rest(key, answer), beside, on_bytes)
                received = beside.stat().st_size
                if received != size:
                    raise StorageFailure(self._where(key), f"{received} bytes arrived", accepted=f"{size} bytes")
                check_md5(beside, answer, self._where(key))
                modified = _seconds(answer.get("LastModified"))
                if modified is not None:
                    date(beside, modified)
        return Stored(key, size, modified=modified)

    def upload(self, path: Path, key: str, on_bytes: OnBytes | None = None) -> Stored:
        """Copy a file to the object, a large one in several parts at a time; the server confirms the content."""
        self._key(key)
        with disk_failures(path):
            sent = fingerprint(path)
        with self._failures(key), disk_failures(path):
            self._with_or_without_checksums(lambda: self._send(path, key, sent, on_bytes))
            held = self._confirmed(key, sent)
        if (held.size, held.sha256) != (sent.size, sent.sha256):
            raise StorageFailure(
                self._where(key),
                f"holds {held.size} bytes, sha256 {held.sha256}",
                accepted=f"the {sent.size} bytes of {path}, sha256 {sent.sha256}",
                do="Either the file changed while it was sent, or the way to the server damages data.",
            )
        return held

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""
        name = self._key(key)
        with self._failures(key):
            self._client.delete_object(Bucket=self.location.bucket, Key=name)

    def clear_unfinished(self) -> None:
        """Abort uploads in parts: they cost as much as objects do, and no listing of objects shows them."""
        top = self.location.prefix
        with self._failures():
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.location.bucket, Prefix=f"{top}/" if top else ""
            )
            for page in pages:
                for left in page.get("Uploads", []):
                    self._client.abort_multipart_upload(
                        Bucket=self.location.bucket, Key=left["Key"], UploadId=left["UploadId"]
                    )

    def child(self, prefix: str) -> S3:
        """The storage below ``prefix``, over the same connections."""
        return S3(S3Location(self.location.bucket, self._key(prefix)), self._client)

    def _key(self, key: str) -> str:
        return join(self.uri, self.location.prefix, key)

    def _where(self, key: str) -> str:
        return f"{self.uri}/{key}"

    def _failures(self, key: str = "") -> AbstractContextManager[None]:
        return s3_failures(self._where(key) if key else self.uri, self._client.meta.endpoint_url)

    def _get(self, key: str) -> GetObjectOutputTypeDef:
        return self._client.get_object(Bucket=self.location.bucket, Key=self._key(key))

    def _chunks(self, key: str) -> Iterator[bytes]:
        with self._failures(key):
            yield from self._rest(key, self._get(key))

    def _rest(self, key: str, answer: GetObjectOutputTypeDef) -> Iterator[bytes]:
        """The content that an answer to GET begins; when it breaks off, the server is asked for what is missing."""
        whole, got, tries = answer["ContentLength"], 0, 1
        while True:
            try:
                for chunk in answer["Body"].iter_chunks(CHUNK):
                    got += len(chunk)
                    yield chunk
                break
            except BROKEN_OFF:
                if tries == TRIES:
                    raise
            time.sleep(PAUSE_SECONDS * tries)
            tries += 1
            answer = self._client.get_object(
                Bucket=self.location.bucket, Key=self._key(key), Range=f"bytes={got}-", IfMatch=answer["ETag"]
            )
        if got != whole:
            raise StorageFailure(self._where(key), f"{got} bytes arrived", accepted=f"{whole} bytes")

    def _put(self, key: str, body: bytes | BinaryIO, sha256: bytes) -> None:
        extra: _Checksum = {"ChecksumSHA256": base64(sha256)} if self._sends_checksums else {}
        self._client.put_object(Bucket=self.location.bucket, Key=self._key(key), Body=body, **extra)

    def _send(self, path: Path, key: str, sent: Fingerprint, on_bytes: OnBytes | None) -> None:
        if sent.in_parts:
            extra = {"ChecksumAlgorithm": "SHA256"} if self._sends_checksums else {}
            send_in_parts(self._client, path, self.location.bucket, self._key(key), on_bytes, extra)
            return
        with path.open("rb") as file:
            self._put(key, file, bytes.fromhex(sent.sha256))
        if on_bytes:
            on_bytes(sent.size)

    def _with_or_without_checksums(self, send: Callable[[], None]) -> None:
        """Send with checksums; again without, from now on, to a server that does not know their headers."""
        try:
            send()
        except ClientError as error:
            if not self._sends_checksums or not refused_checksums(code_of(error), message_of(error)):
                raise
            self._sends_checksums = False
            send()

    def _confirmed(self, key: str, sent: Fingerprint) -> Stored:
        """What the server holds now: by its own word where that is proof, else by reading it back."""
        head = self._client.head_object(Bucket=self.location.bucket, Key=self._key(key), ChecksumMode="ENABLED")
        if head["ContentLength"] == sent.size and proves(head.get("ChecksumSHA256"), head.get("ChecksumType"), sent):
            return Stored(key, sent.size, sent.sha256)
        return self.digest(key)


def _seconds(time: datetime | None) -> int | None:
    """A time as S3's listings and answers have in common: a listing may say milliseconds, an answer never does."""
    return None if time is None else int(time.timestamp())
