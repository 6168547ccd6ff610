"""How this product talks to an S3 server: how patiently, and over how many connections."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from ..contract.errors import ConfigFailure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TRIES = 4
"""How often a request that may succeed later is sent; AWS_MAX_ATTEMPTS overrides it.

With botocore's pauses (up to 1, 2 and 4 s) a server that is down is reported after 7 s at most, one that cannot be
reached at all after 27 s, and one that takes requests and never answers after two minutes.
"""

PAUSE_SECONDS = 0.5
"""The wait before an answer that broke off is asked for again; for the rest of a long one, times the tries so far."""

NEEDED = {"GetObject": "ContentLength", "HeadObject": "ContentLength", "UploadPart": "ETag"}
"""What the answers have that this product reads from; without it, their headers broke off."""


def connect() -> S3Client:
    """A client with the usual credential chain.

    botocore addresses Amazon's servers as they want it (``bucket.s3...``) and any other with the bucket in the path,
    as ``bucket.minio.svc`` has no address, unless the AWS config file says otherwise.

    Raises:
        ConfigFailure: AWS_ENDPOINT_URL is not a URL.
    """
    try:
        client = boto3.session.Session().client("s3", config=_config())
    except ValueError:  # botocore's text quotes the URL, and with it a password.
        raise ConfigFailure("AWS_ENDPOINT_URL", "not a URL", accepted="http://host:port, https://host") from None
    _ask_again_where_headers_broke_off(client)
    return client


def _ask_again_where_headers_broke_off(client: S3Client) -> None:
    """A connection that closes between two headers looks to Python's HTTP as if there were no more of them."""
    tries = client.meta.config.retries["total_max_attempts"]  # type: ignore[attr-defined]  # stubs lack it

    def again(
        response: tuple[object, Mapping[str, Any]] | None, attempts: int, event_name: str, **_: object
    ) -> float | None:
        operation = event_name.rpartition(".")[2]
        if response is None or operation not in NEEDED:
            return None
        answer = response[1]
        if answer["ResponseMetadata"]["HTTPStatusCode"] >= 300 or NEEDED[operation] in answer:
            return None
        if "Body" in answer:
            answer["Body"].close()
        if attempts >= tries:
            raise ConnectionClosedError(endpoint_url=client.meta.endpoint_url)
        return PAUSE_SECONDS

    client.meta.events.register_last("needs-retry.s3", again)  # type: ignore[arg-type]  # stubs know of no result


def _config() -> Config:
    """Standard retries, short to connect and patient to read.

    Checksums are ours to ask for (s3_checksums.py): botocore's default ones go in a trailer that older servers refuse,
    and would break off the reading of damaged content that ``digest`` is there to report.
    """
    patience = Config(
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=64,
        tcp_keepalive=True,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    if "AWS_MAX_ATTEMPTS" in os.environ:
        return patience.merge(Config(retries={"mode": "standard"}))
    return patience.merge(Config(retries={"mode": "standard", "total_max_attempts": TRIES}))
