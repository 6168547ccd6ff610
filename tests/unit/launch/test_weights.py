"""A checkpoint comes from wherever it is, once a machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mmaction_trainer.contract import pod
from mmaction_trainer.contract.errors import StorageFailure
from mmaction_trainer.contract.run import Weights
from mmaction_trainer.launch.weights import bring, fetch

CONTENT = b"w" * 3_000_000


class Zoo:
    """A web server with one checkpoint; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        zoo = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                zoo.asked += 1
                there = self.path == "/tsm.pth"
                self.send_response(200 if there else 404)
                self.send_header("Content-Length", str(len(CONTENT) if there else 0))
                self.end_headers()
                if there:
                    self.wfile.write(CONTENT)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def weights(self, name: str) -> Weights:
        return Weights(uri=f"http://127.0.0.1:{self.server.server_port}/{name}", name=name)


@pytest.fixture
def zoo() -> Iterator[Zoo]:
    zoo = Zoo()
    with zoo.server:
        thread = threading.Thread(target=zoo.server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield zoo
        zoo.server.shutdown()
        thread.join()


def test_a_checkpoint_on_a_web_server_is_fetched_whole_and_once(zoo: Zoo, tmp_path: Path) -> None:
    for _ in range(2):
        assert bring(zoo.weights("tsm.pth"), tmp_path).read_bytes() == CONTENT
    assert zoo.asked == 1


def test_a_checkpoint_that_a_web_server_lacks_is_named(zoo: Zoo, tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match=r"/tsn\.pth: cannot be fetched: Not Found"):
        bring(zoo.weights("tsn.pth"), tmp_path)


def test_a_checkpoint_of_the_mirror_is_enough(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pod.WEIGHTS, str(tmp_path))
    (tmp_path / "tsn.pth").write_bytes(b"weights")
    bring(zoo.weights("tsn.pth"), tmp_path / "cache")


def test_a_checkpoint_that_was_fetched_before_is_enough(tmp_path: Path) -> None:
    published = tmp_path / "published.pth"
    published.write_bytes(b"weights")
    weights = Weights(uri=str(published), name="published.pth")
    bring(weights, tmp_path / "cache")
    (tmp_path / "run").mkdir()
    fetch(weights, tmp_path / "run", tmp_path / "cache")
    published.unlink()
    bring(weights, tmp_path / "cache")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFailure, match=r"gone\.pth: no such object\. Correct spec\.model\.pretrained"):
        bring(Weights(uri=str(tmp_path / "gone.pth"), name="gone.pth"), tmp_path / "cache")
