"""Networks that break and servers that keep less of the protocol than they say."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.contract.run import JobIdentity
from mmaction_trainer.storage import ObjectMissing, open_storage, publish, read_manifest
from tests.cluster.s3_faults import Answer, Behind, Forward, Log, Request, refusal

CONTENT = os.urandom(5_000_000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "best.pth").write_bytes(CONTENT)
    return tmp_path / "best.pth"


def test_a_checksum_that_the_server_only_repeats_is_not_believed(behind: Behind, file: Path) -> None:
    log = Log()
    with behind(log) as storage:
        storage.upload(file, "best.pth")
    assert log.asked == ["PUT", "HEAD", "GET"], "rclone states no checksum type, so the object is read back"


def test_a_checksum_whose_type_the_server_states_spares_the_reading_back(behind: Behind, file: Path) -> None:
    log = Log()

    def states_type(request: Request, forward: Forward) -> Answer:
        answer = log(request, forward)
        if request.method == "HEAD":
            answer.headers["x-amz-checksum-type"] = "FULL_OBJECT"
        return answer

    with behind(states_type) as storage:
        storage.upload(file, "best.pth")
    assert log.asked == ["PUT", "HEAD"]


@pytest.mark.parametrize("damage", [lambda body: body[:-1] + bytes([body[-1] ^ 1]), lambda body: body[:-1]])
def test_an_object_that_is_not_what_was_sent_fails_the_upload_and_the_publication(
    behind: Behind, file: Path, job: JobIdentity, damage: Callable[[bytes], bytes]
) -> None:
    def damages(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.method == "GET" and request.path.endswith("best.pth"):
            answer.body = damage(answer.body)
            answer.headers["Content-Length"] = str(len(answer.body))
        return answer

    with behind(damages) as storage:
        with pytest.raises(StorageFailure, match=r"best\.pth: holds .* bytes, sha256 .*; accepted: the 5000000 bytes"):
            storage.upload(file, "best.pth")
        with pytest.raises(StorageFailure):
            publish(storage, file.parent, ["best.pth"], job, {})
        with pytest.raises(ObjectMissing):
            read_manifest(storage)


def test_a_manifest_that_does_not_read_back_is_taken_away(behind: Behind, file: Path, job: JobIdentity) -> None:
    def damages(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.method == "GET" and request.path.endswith("manifest.json"):
            answer.body = answer.body.replace(b"slowfast", b"slowfest")
        return answer

    with behind(damages) as storage, pytest.raises(StorageFailure, match=r"manifest\.json: does not hold"):
        publish(storage, file.parent, ["best.pth"], job, {})
    assert [stored.key for stored in open_storage(storage.uri).list()] == ["best.pth"]


@pytest.mark.parametrize("size", [5_000_000, 20_000_000])
def test_a_server_that_knows_no_checksum_headers_is_served_without_them(
    behind: Behind, tmp_path: Path, size: int
) -> None:
    (tmp_path / "file").write_bytes(os.urandom(size))
    refusals: list[str] = []

    def knows_none(request: Request, forward: Forward) -> Answer:
        named = [name for name in request.headers if "checksum" in name.lower()]
        if request.method in ("PUT", "POST") and named:
            refusals.append(request.method)
            return refusal(501, "NotImplemented", f"Header '{named[0]}' not implemented")
        return forward(request)

    with behind(knows_none) as storage:
        assert storage.upload(tmp_path / "file", "file").size == size
        storage.write("x", b"1")
        assert storage.read("x") == b"1"
    assert len(refusals) == 1, "it is asked once"


def test_a_download_that_breaks_off_goes_on_where_it_was(behind: Behind, tmp_path: Path) -> None:
    ranges: list[str] = []

    def breaks_twice(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.method == "GET":
            ranges.append(request.headers.get("Range", ""))
            if len(ranges) <= 2:
                answer.sent = 1_500_000
        return answer

    counted: list[int] = []
    with behind(breaks_twice) as storage:
        storage.write("v.mp4", CONTENT)
        storage.download("v.mp4", tmp_path / "v.mp4", counted.append)
    assert (tmp_path / "v.mp4").read_bytes() == CONTENT
    assert sum(counted) == len(CONTENT)
    assert ranges[0] == ""
    assert all(re.fullmatch(r"bytes=[1-9]\d+-", asked) for asked in ranges[1:])


def test_a_download_that_always_breaks_off_is_given_up_and_leaves_no_file(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmaction_trainer.storage.s3.PAUSE_SECONDS", 0.01)

    def breaks(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.method == "GET":
            answer.sent = 100
        return answer

    with behind(breaks) as storage:
        storage.write("v.mp4", CONTENT)
        with pytest.raises(StorageFailure, match="broke off"):
            storage.download("v.mp4", tmp_path / "in" / "v.mp4")
    assert list((tmp_path / "in").iterdir()) == []


def flips_a_bit(request: Request, forward: Forward) -> Answer:
    answer = forward(request)
    if request.method == "GET":
        answer.body = answer.body[:-1] + bytes([answer.body[-1] ^ 1])
    return answer


def test_what_arrives_damaged_becomes_no_file(behind: Behind, tmp_path: Path) -> None:
    with behind(flips_a_bit) as storage:
        storage.write("v.mp4", CONTENT)
        with pytest.raises(StorageFailure, match=r"arrived damaged: its MD5 is \w{32}; accepted: \w{32}, as its ETag"):
            storage.download("v.mp4", tmp_path / "in" / "v.mp4")
    assert list((tmp_path / "in").iterdir()) == []


@pytest.mark.parametrize(
    "headers",
    [{"ETag": '"0123456789abcdef0123456789abcdef-2"'}, {"x-amz-server-side-encryption": "aws:kms"}],
    ids=["sent in parts", "encrypted with a key of its own"],
)
def test_an_etag_that_is_no_md5_is_not_taken_for_one(behind: Behind, tmp_path: Path, headers: dict[str, str]) -> None:
    def states(request: Request, forward: Forward) -> Answer:
        answer = flips_a_bit(request, forward)
        answer.headers = {name: value for name, value in answer.headers.items() if name not in headers} | headers
        return answer

    with behind(states) as storage:
        storage.write("v.mp4", CONTENT)
        assert storage.download("v.mp4", tmp_path / "v.mp4").size == len(CONTENT)


def test_an_object_that_is_replaced_while_it_is_read_is_not_pieced_together(behind: Behind) -> None:
    tries: list[str] = []

    def replaced(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.method != "GET":
            return answer
        tries.append(request.headers.get("If-Match", ""))
        if len(tries) > 1:
            return refusal(412, "PreconditionFailed")
        answer.sent = 1_500_000
        return answer

    with behind(replaced) as storage:
        storage.write("x", CONTENT)
        with pytest.raises(StorageFailure, match="replaced while it was read"):
            storage.read("x")
    assert tries[0] == ""
    assert tries[1].startswith('"')


def test_a_server_that_ignores_ranges_is_found_out(behind: Behind) -> None:
    answers: list[Answer] = []

    def ignores_ranges(request: Request, forward: Forward) -> Answer:
        if request.method != "GET":
            return forward(request)
        if not answers:
            answers.append(forward(request))
            return Answer(200, answers[0].headers, answers[0].body, sent=1_500_000)
        return answers[0]

    with behind(ignores_ranges) as storage:
        storage.write("x", CONTENT)
        with pytest.raises(StorageFailure, match="bytes arrived; accepted: 5000000 bytes"):
            storage.read("x")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_an_answer_that_breaks_off_in_its_headers_is_asked_for_again(behind: Behind, file: Path, method: str) -> None:
    """To Python's HTTP it looks whole, and its object without a size."""
    cut: list[str] = []

    def cuts(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.method == method and request.path not in cut:
            cut.append(request.path)
            answer.cut = True
        return answer

    with behind(cuts) as storage:
        storage.upload(file, "best.pth")
        held = storage.stat("best.pth")
        assert held
        assert held.size == len(CONTENT)
        storage.download("best.pth", file.with_name("again.pth"))
    assert cut
    assert file.with_name("again.pth").read_bytes() == CONTENT


def test_answers_that_always_break_off_in_their_headers_are_given_up(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    with behind(lambda request, forward: replace(forward(request), cut=request.method == "GET")) as storage:
        storage.write("x", b"1")
        with pytest.raises(StorageFailure, match="broke off"):
            storage.read("x")


def test_a_server_that_is_busy_is_asked_again(behind: Behind) -> None:
    tries: list[str] = []

    def busy(request: Request, forward: Forward) -> Answer:
        tries.append(request.method)
        return refusal(503, "SlowDown", "Reduce your request rate.") if len(tries) == 1 else forward(request)

    with behind(busy) as storage:
        storage.write("x", b"1")
        assert storage.read("x") == b"1"
    assert tries == ["PUT", "PUT", "GET"]


def test_a_server_that_stays_busy_is_quoted_after_as_many_tries_as_the_user_wants(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")

    def busy(request: Request, forward: Forward) -> Answer:
        return refusal(503, "SlowDown", "Reduce your request rate.")

    with (
        behind(busy) as storage,
        pytest.raises(StorageFailure, match=r"SlowDown: Reduce your request rate\. \(after 2 "),
    ):
        storage.write("x", b"1")


def listing(keys: list[str], next_page: str = "") -> Answer:
    """A page of a listing as S3 writes it."""
    contents = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
    token = f"<NextContinuationToken>{next_page}</NextContinuationToken>" if next_page else ""
    truncated = "true" if next_page else "false"
    body = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{contents}</ListBucketResult>"
    return Answer(200, {"Content-Type": "application/xml"}, body.encode())


def test_every_page_of_a_listing_is_read_and_markers_of_folders_are_left_out(behind: Behind) -> None:
    def pages(request: Request, forward: Forward) -> Answer:
        assert "prefix=job%2F" in request.path
        if "continuation-token=second" in request.path:
            return listing(["job/c/", "job/c/d"])
        return listing(["job/", "job/a", "job/b"], next_page="second")

    with behind(pages) as storage:
        assert [stored.key for stored in storage.list()] == ["a", "b", "c/d"]


def test_a_listed_name_that_would_leave_a_local_folder_is_refused(behind: Behind) -> None:
    with (
        behind(lambda request, forward: listing(["job/a/../../../etc/passwd"])) as storage,
        pytest.raises(StorageFailure, match="leaves the storage"),
    ):
        list(storage.list())
