"""Large objects: several parts at a time through boto3's transfer manager, in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boto3.s3.transfer import TransferConfig, create_transfer_manager
from s3transfer.futures import BaseTransferFuture
from s3transfer.subscribers import BaseSubscriber

from .interface import OnBytes
from .s3_checksums import PART, part_size

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LARGE_DOWNLOAD = 2 * PART
"""Objects above this size are read in several ranges at a time."""

PARTS_AT_ONCE = 4


class _Listener(BaseSubscriber):
    """Passes bytes on to ``on_bytes``, and cancels the transfer when that raises.

    The exception is kept rather than let through: botocore would take it for a broken connection and send the part
    again.
    """

    def __init__(self, on_bytes: OnBytes | None) -> None:
        self.on_bytes = on_bytes
        self.raised: BaseException | None = None

    def on_progress(self, future: BaseTransferFuture, bytes_transferred: int, **_: object) -> None:
        """Called by the transfer manager from its threads."""
        if self.on_bytes is None or self.raised:
            return
        try:
            self.on_bytes(bytes_transferred)
        except BaseException as error:
            self.raised = error
            future.cancel()

    def wait(self, future: BaseTransferFuture) -> None:
        """Wait for the end of the transfer; raise what ``on_bytes`` raised, else what the transfer did."""
        try:
            future.result()
        except Exception:
            if not self.raised:
                raise
        if self.raised:
            raise self.raised


def send_in_parts(
    client: S3Client, path: Path, bucket: str, key: str, on_bytes: OnBytes | None, extra: dict[str, str]
) -> None:
    """Upload a file in parts. ``extra`` are arguments of the request, as boto3 names them."""
    listener = _Listener(on_bytes)
    with create_transfer_manager(client, _config(part_size(path.stat().st_size))) as manager:
        listener.wait(manager.upload(str(path), bucket, key, extra_args=extra, subscribers=[listener]))


def receive_in_parts(client: S3Client, bucket: str, key: str, path: Path, on_bytes: OnBytes | None) -> None:
    """Download an object to a file in ranges."""
    listener = _Listener(on_bytes)
    with create_transfer_manager(client, _config(PART)) as manager:
        listener.wait(manager.download(bucket, key, str(path), subscribers=[listener]))


def _config(part: int) -> TransferConfig:
    """At most PARTS_AT_ONCE parts at a time; 16 pieces of 256 KiB, or 4 MiB, wait for the disk."""
    return TransferConfig(
        multipart_threshold=part,
        multipart_chunksize=part,
        max_concurrency=PARTS_AT_ONCE,
        max_io_queue=16,
        io_chunksize=256 << 10,
        preferred_transfer_client="classic",  # The C client, where it is installed, ignores these limits.
    )
