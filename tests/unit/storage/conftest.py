"""Each test of the contract runs on a folder and on two S3 servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from botocore.loaders import create_loader

from mmaction_trainer.contract.run import JobIdentity
from mmaction_trainer.storage import Storage, open_storage
from tests.cluster.s3 import S3Server
from tests.cluster.s3_faults import Behind, Fault, in_front_of

_numbers = count()


@pytest.fixture(scope="session", autouse=True)
def _botocore_reads_its_data_once() -> Iterator[None]:
    """Each test makes its own client; the megabytes of JSON behind one need reading once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        yield


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[S3Server], None]:
    """Point this process's AWS settings at a server."""

    def point(server: S3Server) -> None:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)

    return point


@pytest.fixture
def bucket(rclone: S3Server, use: Callable[[S3Server], None]) -> str:
    """A new bucket at rclone, as a URI, in the environment's reach."""
    use(rclone)
    return rclone.bucket(f"bucket-{next(_numbers)}")


@pytest.fixture
def behind(rclone: S3Server, use: Callable[[S3Server], None], bucket: str) -> Behind:
    """A new bucket as it is seen behind a fault."""

    @contextmanager
    def behind(fault: Fault) -> Iterator[Storage]:
        with in_front_of(rclone, fault) as server:
            use(server)
            yield open_storage(f"{bucket}/job")
            use(rclone)

    return behind


@pytest.fixture(params=["folder", "rclone", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, use: Callable[[S3Server], None]) -> Storage:
    """A new, empty storage of each kind."""
    if request.param == "folder":
        return open_storage(str(tmp_path / "storage"))
    server: S3Server = request.getfixturevalue(request.param)
    use(server)
    return open_storage(f"{server.bucket(f'bucket-{next(_numbers)}')}/team a/results")


@pytest.fixture
def job() -> JobIdentity:
    return JobIdentity(namespace="default", name="slowfast", uid="0a1b", attempt=2)
