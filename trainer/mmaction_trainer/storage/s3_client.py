"""How this product talks to an S3 server: how patiently, over how many connections, and by which kind of address."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from ..contract.errors import ConfigFailure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TRIES = 4
"""How often a request that may succeed later is sent; AWS_MAX_ATTEMPTS overrides it.

With botocore's pauses (up to 1, 2 and 4 s) a server that is down is reported after 7 s at most, one that cannot be
reached at all after 27 s, and one that takes requests and never answers after two minutes.
"""


def connect() -> S3Client:
    """A client with the usual credential chain.

    Amazon's servers are addressed as it wants them (``bucket.s3...``). Any other server has the bucket in the path,
    as ``bucket.minio.svc`` has no address, unless the AWS config file says otherwise.

    Raises:
        ConfigFailure: AWS_ENDPOINT_URL is not a URL.
    """
    session, config = boto3.session.Session(), _config()
    try:
        client = session.client("s3", config=config)
        told = (client.meta.config.s3 or {}).get("addressing_style")  # type: ignore[attr-defined]
        if told or _is_amazon(client.meta.endpoint_url):
            return client
        return session.client("s3", config=config.merge(Config(s3={"addressing_style": "path"})))
    except ValueError:  # botocore's text quotes the URL, and with it a password.
        raise ConfigFailure("AWS_ENDPOINT_URL", "not a URL", accepted="http://host:port, https://host") from None


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


def _is_amazon(endpoint: str) -> bool:
    return ".amazonaws." in (urlsplit(endpoint).hostname or "")
