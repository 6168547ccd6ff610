"""A server that refuses, is not there, or is asked by nobody: said within seconds, and without the secret."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError

from mmaction_trainer.contract.errors import ConfigFailure, StorageFailure
from mmaction_trainer.contract.run import JobIdentity
from mmaction_trainer.storage import ObjectMissing, Storage, StorageAway, open_storage, publish
from mmaction_trainer.storage.s3_failures import s3_failure
from tests.cluster.s3 import S3Server
from tests.cluster.s3_faults import Answer, Log, Request, in_front_of
from tests.run_folders import free_port

Use = Callable[[S3Server], None]
SECRET = "test-secret-key"


def answered(code: str, status: int) -> botocore.ClientError:
    """What botocore raises for an answer with this code."""
    error = {"Code": code, "Message": "in the server's words"}
    return botocore.ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")  # type: ignore[typeddict-item]


def refused(ask: Callable[[], object], within_seconds: float = 10) -> StorageFailure:
    """The failure of ``ask``, which came in time and keeps the secret."""
    start = time.monotonic()
    with pytest.raises(StorageFailure) as caught:
        ask()
    assert time.monotonic() - start < within_seconds
    assert not isinstance(caught.value, ObjectMissing)
    assert SECRET not in str(caught.value)
    assert caught.value.do
    return caught.value


def questions(storage: Storage, tmp_path: Path) -> dict[str, Callable[[], object]]:
    """Every operation that asks a server something."""
    (tmp_path / "file").write_bytes(b"1")
    return {
        "list": lambda: list(storage.list()),
        "stat": lambda: storage.stat("x"),
        "read": lambda: storage.read("x"),
        "digest": lambda: storage.digest("x"),
        "write": lambda: storage.write("x", b"1"),
        "download": lambda: storage.download("x", tmp_path / "copy"),
        "upload": lambda: storage.upload(tmp_path / "file", "x"),
        "delete": lambda: storage.delete("x"),
    }


def test_a_wrong_secret_is_called_one_by_every_operation(
    rclone: S3Server, use: Use, bucket: str, tmp_path: Path
) -> None:
    use(replace(rclone, secret_key="wrong-" + SECRET))
    storage = open_storage(bucket)
    for name, ask in questions(storage, tmp_path).items():
        failure = refused(ask)
        assert failure.found.startswith("wrong secret"), name
        assert failure.where == (bucket if name == "list" else f"{bucket}/x")
        assert "credentialsSecret" in failure.do


def test_an_unknown_access_key_is_called_one(rclone: S3Server, use: Use, bucket: str) -> None:
    use(replace(rclone, access_key="someone-else"))
    assert refused(lambda: open_storage(bucket).read("x")).found == "unknown access key"


def test_a_missing_bucket_is_called_one_by_every_operation(bucket: str, tmp_path: Path) -> None:
    for name, ask in questions(open_storage(f"{bucket}-not/prefix"), tmp_path).items():
        failure = refused(ask)
        assert failure.found == "no such bucket", name
        assert failure.where.startswith(f"{bucket}-not/prefix")


def test_a_server_that_is_not_there_is_reported_with_its_address_after_a_few_tries(
    rclone: S3Server, use: Use, tmp_path: Path
) -> None:
    port = free_port()
    use(replace(rclone, endpoint=f"http://user:{SECRET}@127.0.0.1:{port}"))
    failure = refused(lambda: open_storage("s3://bucket").read("x"), within_seconds=15)
    assert failure.found == f"no connection to http://127.0.0.1:{port}"
    assert "AWS_ENDPOINT_URL" in failure.do


def test_asking_without_credentials_says_which_variables_to_set(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    failure = refused(lambda: open_storage(bucket).read("x"))
    assert failure.found == "no credentials"
    assert "AWS_ACCESS_KEY_ID" in failure.do


def test_half_of_the_credentials_is_called_that(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    failure = refused(lambda: open_storage(bucket).read("x"))
    assert failure.found == "half of the credentials: AWS_SECRET_ACCESS_KEY is missing"


def test_a_web_site_is_not_taken_for_an_s3_server(rclone: S3Server, use: Use, tmp_path: Path) -> None:
    def web_site(request: Request, forward: Callable[[Request], Answer]) -> Answer:
        return Answer(200, {"Content-Type": "text/html"}, b"<!doctype html><p>Welcome!<br>")

    (tmp_path / "large").write_bytes(bytes(20_000_000))
    with in_front_of(rclone, web_site) as server:
        use(server)
        failure = refused(lambda: open_storage("s3://bucket").upload(tmp_path / "large", "large"))
    assert failure.found.endswith("(after 4 tries)")
    assert "AWS_ENDPOINT_URL" in failure.do


@pytest.mark.parametrize("endpoint", [f"nonsense {SECRET}", "http://[half", "minio:9000"])
def test_an_endpoint_that_is_no_url_is_a_fault_of_the_settings(rclone: S3Server, use: Use, endpoint: str) -> None:
    use(replace(rclone, endpoint=endpoint))
    with pytest.raises(ConfigFailure, match="AWS_ENDPOINT_URL") as caught:
        open_storage("s3://bucket")
    assert SECRET not in str(caught.value)


def test_a_profile_that_is_not_there_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "elsewhere")
    assert "elsewhere" in refused(lambda: open_storage(bucket)).found


def test_a_refused_publication_is_refused_before_anything_is_sent(
    rclone: S3Server, use: Use, bucket: str, tmp_path: Path, job: JobIdentity
) -> None:
    (tmp_path / "config.py").write_bytes(b"1")
    use(replace(rclone, secret_key="wrong-" + SECRET))
    assert refused(lambda: publish(open_storage(bucket), tmp_path, ["config.py"], job, {})).found.startswith("wrong")
    use(rclone)
    assert list(open_storage(bucket).list()) == []


@pytest.mark.parametrize(
    ("error", "found", "kind"),
    [
        (
            botocore.SSLError(endpoint_url="https://minio", error=ValueError("self-signed")),
            "no trusted TLS connection to https://minio",
            StorageFailure,
        ),
        (botocore.ConnectTimeoutError(endpoint_url="https://minio"), "no connection to https://minio", StorageAway),
        (
            botocore.ReadTimeoutError(endpoint_url="https://minio"),
            "the connection to https://minio broke off (ReadTimeo",
            StorageAway,
        ),
        (ConnectionResetError(), "the connection to https://minio broke off (ConnectionResetError)", StorageAway),
        (
            botocore.ProxyConnectionError(proxy_url=f"http://me:{SECRET}@proxy"),
            "the proxy does not answer",
            StorageFailure,
        ),
        (
            botocore.CredentialRetrievalError(provider="process", error_msg=SECRET),
            "credentials cannot be had",
            StorageFailure,
        ),
        (ResponseParserError(f"not XML: {SECRET}"), "https://minio does not answer as S3 does", StorageFailure),
        (answered("AccessDenied", 403), "denied", StorageFailure),
        (answered("403", 403), "denied", StorageFailure),
        (answered("ExpiredToken", 400), "the credentials have expired", StorageFailure),
        (answered("RequestTimeTooSkewed", 403), "this machine's clock differs too much", StorageFailure),
        (answered("PermanentRedirect", 301), "the bucket is in another region", StorageFailure),
        (answered("SlowDown", 503), "SlowDown", StorageAway),
        (answered("InternalError", 500), "InternalError", StorageAway),
        (answered("XMinioStorageFull", 507), "XMinioStorageFull: in the server's words", StorageFailure),
    ],
)
def test_what_each_error_means(error: Exception, found: str, kind: type[StorageFailure]) -> None:
    failure = s3_failure(error, "s3://bucket/x", f"https://me:{SECRET}@minio")
    assert type(failure) is kind
    assert failure.found.startswith(found)
    assert failure.do
    assert SECRET not in str(failure)


@pytest.mark.parametrize("code", ["NoSuchKey", "404", "NoSuchVersion"])
def test_what_each_way_to_say_absent_means(code: str) -> None:
    assert isinstance(s3_failure(answered(code, 404), "s3://bucket/x"), ObjectMissing)


def test_a_server_with_a_name_is_asked_for_the_bucket_by_path(rclone: S3Server, use: Use, bucket: str) -> None:
    with in_front_of(rclone, Log()) as server:
        use(replace(server, endpoint=server.endpoint.replace("127.0.0.1", "localhost")))
        storage = open_storage(bucket)
        storage.write("x", b"1")
        assert storage.read("x") == b"1"
