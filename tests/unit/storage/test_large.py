"""Objects larger than memory should hold: in parts, several at a time, and confirmed without their file's digest."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.storage import Storage, Stored
from mmaction_trainer.storage.s3_checksums import MOST_PARTS, PART, Fingerprint, fingerprint, part_size, proves
from tests.cluster.s3_faults import Answer, Behind, Forward, Log, Request, refusal

SIZE = 40_000_001


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "latest.pth"
    path.write_bytes(os.urandom(SIZE))
    return path


def test_a_large_file_goes_there_and_back(storage: Storage, large: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(large.read_bytes()).hexdigest()
    sent: list[int] = []
    received: list[int] = []
    assert storage.upload(large, "latest.pth", sent.append) == Stored("latest.pth", SIZE, sha256)
    assert storage.download("latest.pth", tmp_path / "latest.pth", received.append) == Stored("latest.pth", SIZE)
    assert hashlib.sha256((tmp_path / "latest.pth").read_bytes()).hexdigest() == sha256
    assert (sum(sent), sum(received)) == (SIZE, SIZE)
    assert len(received) > 1


def test_a_large_file_takes_little_memory(storage: Storage, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(96 << 20)
    program = f"""
        import re
        from pathlib import Path
        from mmaction_trainer.storage import open_storage
        storage, folder = open_storage({storage.uri!r}), Path({str(tmp_path)!r})
        def peak():
            return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
        storage.write("small", b"1")
        before = peak()
        storage.upload(folder / "large", "large")
        storage.download("large", folder / "copy")
        storage.digest("large")
        print(peak() - before)
    """
    grown = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True
    ).stdout
    print(grown)
    assert float(grown) < 40, "MiB, of a file of 96"


@pytest.mark.parametrize(
    ("size", "part"),
    [(0, PART), (PART, PART), (PART * MOST_PARTS, PART), (PART * MOST_PARTS + 1, 2 * PART), (1 << 40, 7 * PART)],
)
def test_parts_grow_where_there_would_be_too_many(size: int, part: int) -> None:
    assert part_size(size) == part
    assert size <= part * MOST_PARTS


def test_a_composite_is_the_digest_of_the_parts_digests_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * PART + b"b" * PART + b"c")
    # As versitygw 1.8.0 reported it for this content, and as Amazon's documentation computes it.
    assert fingerprint(path) == Fingerprint(
        2 * PART + 1,
        "5baf7e19979b849d6332b6c66c9ed72e1353c26f99ad36c65f6841751ee4fa1c",
        "lf4DayViXmIt/O28KmL2fnO7eXuM2/NC2jApF3bEbuw=-3",
    )
    path.write_bytes(b"a" * PART)
    assert fingerprint(path).reported == "W2/y4Z0NoP4yMGEBj8OBOTSSiE50r4KWyBq5yyaUeDo="


@pytest.mark.parametrize(
    ("checksum", "kind", "size", "proof"),
    [
        ("abc=", "FULL_OBJECT", 5, True),
        ("abc=", None, 5, False),  # Only repeated: rclone.
        ("abd=", "FULL_OBJECT", 5, False),
        (None, None, 5, False),
        ("abc=", "COMPOSITE", PART + 1, True),
        ("abc=", None, PART + 1, True),  # Nobody can repeat what the client never sends.
        ("abd=", "COMPOSITE", PART + 1, False),
    ],
)
def test_when_a_reported_checksum_proves_the_content(
    checksum: str | None, kind: str | None, size: int, proof: bool
) -> None:
    assert proves(checksum, kind, Fingerprint(size, "00", "abc=")) is proof


def test_a_large_upload_carries_a_checksum_in_each_part_and_is_proved_by_their_composite(
    behind: Behind, large: Path
) -> None:
    log = Log()
    parts: list[bool] = []

    def keeps_protocol(request: Request, forward: Forward) -> Answer:
        answer = log(request, forward)
        if "partNumber=" in request.path:
            parts.append("x-amz-checksum-sha256" in {name.lower() for name in request.headers})
        if request.method == "HEAD":
            answer.headers["x-amz-checksum-sha256"] = fingerprint(large).reported
        return answer

    with behind(keeps_protocol) as storage:
        storage.upload(large, "latest.pth")
    assert parts == [True, True, True]
    assert "GET" not in log.asked


def test_a_large_download_is_asked_for_in_ranges(behind: Behind, large: Path, tmp_path: Path) -> None:
    ranges: list[str] = []

    def notes(request: Request, forward: Forward) -> Answer:
        ranges.extend(value for name, value in request.headers.items() if name == "Range")
        return forward(request)

    with behind(notes) as storage:
        storage.upload(large, "latest.pth")
        storage.download("latest.pth", tmp_path / "latest.pth")
    assert (tmp_path / "latest.pth").read_bytes() == large.read_bytes()
    assert len(ranges) >= 3


def test_a_part_whose_answer_breaks_off_in_its_headers_is_sent_again(behind: Behind, large: Path) -> None:
    parts: list[str] = []

    def cuts(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.method == "PUT" and "partNumber=2" in request.path:
            parts.append(request.path)
            answer.cut = len(parts) == 1
        return answer

    with behind(cuts) as storage:
        storage.upload(large, "latest.pth")
        assert storage.digest("latest.pth").size == large.stat().st_size
    assert len(parts) == 2


def short(answer: Answer) -> Answer:
    """An answer that calls itself whole and is not."""
    headers = {**answer.headers, "Content-Length": "1000"}
    return Answer(answer.status, headers, answer.body[:1000])


@pytest.mark.parametrize(
    ("misbehave", "told"),
    [
        (lambda answer: refusal(412, "PreconditionFailed"), "replaced while it was read"),
        (lambda answer: Answer(answer.status, answer.headers, answer.body, sent=1000), "broke off"),
        (short, r"bytes arrived; accepted: 40000001 bytes"),
    ],
)
def test_a_large_download_that_does_not_come_whole_leaves_no_file(
    behind: Behind, large: Path, tmp_path: Path, misbehave: Callable[[Answer], Answer], told: str
) -> None:
    def misbehaves(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        last_range = request.headers.get("Range", "").startswith("bytes=33554432-")
        return misbehave(answer) if request.method == "GET" and last_range else answer

    with behind(misbehaves) as storage:
        storage.upload(large, "latest.pth")
        with pytest.raises(StorageFailure, match=told):
            storage.download("latest.pth", tmp_path / "in" / "latest.pth")
    assert list((tmp_path / "in").iterdir()) == []
