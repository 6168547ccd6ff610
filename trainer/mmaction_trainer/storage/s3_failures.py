"""What botocore raises, in words that a user can act on, and without the words that must not be in a log.

botocore's own text is not passed on where it may quote a URL with a password (an endpoint, a proxy) or the output of a
credential process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError, S3ValidationError

from ..contract.errors import StorageFailure
from .failures import ObjectMissing, StorageAway

_SECRET = (
    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the Secret that spec.storage.credentialsSecret or the "
    "installation's defaults name."
)
_GRANT = "Let these credentials list, read, write and delete objects below the URI."
_REGION = "Set AWS_REGION to the region of the bucket."
_SERVER = "Run it again later; if it stays so, check the server, and that AWS_ENDPOINT_URL names an S3 server."
_NETWORK = "Check AWS_ENDPOINT_URL, and that this machine may reach it."

# S3's error codes, and the bare statuses of answers that carry no code: what it means, what to do.
_REFUSALS = {
    "NoSuchBucket": ("no such bucket", "Create the bucket, or correct the URI."),
    "AccessDenied": ("denied", _GRANT),
    "AllAccessDisabled": ("denied", _GRANT),
    "403": ("denied", _GRANT),
    "SignatureDoesNotMatch": ("wrong secret: the server does not accept the signature", _SECRET),
    "InvalidAccessKeyId": ("unknown access key", _SECRET),
    "XAdminUserNotFound": ("unknown access key", _SECRET),
    "InvalidToken": ("the session token is not valid", _SECRET),
    "ExpiredToken": ("the credentials have expired", "Get new ones."),
    "RequestTimeTooSkewed": ("this machine's clock differs too much from the server's", "Set the clock."),
    "PermanentRedirect": ("the bucket is in another region", _REGION),
    "301": ("the bucket is in another region", _REGION),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", _REGION),
    "PreconditionFailed": ("it was replaced while it was read", "Run it again."),
    "412": ("it was replaced while it was read", "Run it again."),
}
_PASSING = frozenset({500, 502, 503, 504})
_BUSY = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests", "429"})
_ABSENT = frozenset({"NoSuchKey", "404", "NoSuchVersion"})

BROKEN_OFF = (
    botocore.IncompleteReadError,
    botocore.ReadTimeoutError,
    botocore.ResponseStreamingError,
    botocore.ConnectionClosedError,
    ConnectionError,
    TimeoutError,
)
"""An answer that began and did not come to its end; worth asking again for the rest."""

_CREDENTIALS = (
    botocore.CredentialRetrievalError,
    botocore.TokenRetrievalError,
    botocore.NoAuthTokenError,
    botocore.SSOError,
    botocore.LoginError,
    botocore.MetadataRetrievalError,
)


@contextmanager
def s3_failures(uri: str, endpoint: str = "") -> Iterator[None]:
    """Turn what botocore and s3transfer raise in the body into failures about ``uri``."""
    try:
        yield
    except (botocore.ClientError, botocore.BotoCoreError, ResponseParserError, ConnectionError, TimeoutError) as error:
        raise s3_failure(error, uri, endpoint) from error
    except RetriesExceededError as error:
        raise s3_failure(error.last_exception, uri, endpoint) from error
    except (S3DownloadFailedError, S3ValidationError) as error:
        raise StorageFailure(uri, "it was replaced while it was read", do="Run it again.") from error


def s3_failure(error: BaseException, uri: str, endpoint: str = "") -> StorageFailure:
    """What an error of the S3 client means to the user. ``endpoint`` is the server's URL."""
    if isinstance(error, botocore.ClientError):
        return _refusal(error, uri)
    server = without_password(endpoint) or "the S3 server"
    if isinstance(error, botocore.NoCredentialsError):
        return StorageFailure(uri, "no credentials", do=f"{_SECRET} In a cluster, a service account with a role works.")
    if isinstance(error, botocore.PartialCredentialsError):
        return StorageFailure(uri, f"half of the credentials: {error.kwargs['cred_var']} is missing", do=_SECRET)
    if isinstance(error, botocore.ProfileNotFound):
        return StorageFailure(uri, str(error).lower(), do="Correct AWS_PROFILE.")
    if isinstance(error, _CREDENTIALS):
        return StorageFailure(uri, f"credentials cannot be had ({type(error).__name__})", do=_SECRET)
    if isinstance(error, botocore.ProxyConnectionError):
        return StorageFailure(uri, "the proxy does not answer", do="Check HTTPS_PROXY and HTTP_PROXY.")
    if isinstance(error, botocore.SSLError):
        return StorageFailure(
            uri, f"no trusted TLS connection to {server}", do="Set AWS_CA_BUNDLE, or correct the URL."
        )
    if isinstance(error, botocore.ConnectionError):
        return StorageAway(uri, f"no connection to {server}", do=_NETWORK)
    if isinstance(error, botocore.HTTPClientError | botocore.IncompleteReadError | OSError):
        return StorageAway(uri, f"the connection to {server} broke off ({type(error).__name__})", do=_NETWORK)
    if isinstance(error, ResponseParserError):
        return StorageFailure(uri, f"{server} does not answer as S3 does", do="Check AWS_ENDPOINT_URL.")
    return StorageFailure(uri, f"{type(error).__name__}: {error}")


def without_password(url: str) -> str:
    """A URL less the user and password in it."""
    return re.sub(r"//[^/]*@", "//", url)


def code_of(error: botocore.ClientError) -> str:
    """The server's error code; a bare status such as ``404`` where the answer carried none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: botocore.ClientError) -> str:
    """The server's own words."""
    return str(error.response.get("Error", {}).get("Message", ""))


def _refusal(error: botocore.ClientError, uri: str) -> StorageFailure:
    code, message = code_of(error), message_of(error)
    if code in _ABSENT:
        return ObjectMissing(uri, "no such object")
    if code in _REFUSALS:
        found, do = _REFUSALS[code]
        return StorageFailure(uri, found, do=do)
    answer = error.response.get("ResponseMetadata", {})
    again = f" (after {answer['RetryAttempts'] + 1} tries)" if answer.get("RetryAttempts") else ""
    status = answer.get("HTTPStatusCode", 0)
    kind = StorageAway if status in _PASSING or code in _BUSY else StorageFailure
    return kind(uri, f"{code}: {message}{again}", do=_SERVER if status >= 500 or kind is StorageAway else "")
