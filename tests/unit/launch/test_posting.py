"""Progress reaches whoever receives it, and a receiver that does not behave disturbs nothing."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mmaction_trainer.contract import pod
from mmaction_trainer.contract.progress import Progress
from mmaction_trainer.launch import posting as posting_module
from mmaction_trainer.launch.posting import Posting, Receiver
from tests.cluster.authority import Authority
from tests.run_folders import free_port

from .conftest import Pod

Wait = Callable[[Callable[[], bool]], None]
TOKEN = "a-very-secret-token"


@dataclass
class Received:
    """A post as the server saw it."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)


class Server:
    """A receiver that answers as it is told: with a status, or by a function of the handler."""

    def __init__(self, credentials: tuple[Path, Path] | None = None, port: int = 0) -> None:
        self.posts: list[Received] = []
        self.answer: int | Callable[[BaseHTTPRequestHandler], None] = 204
        self.scheme = "https" if credentials else "http"
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.posts.append(Received(self.path, dict(self.headers.items()), body))
                if isinstance(server.answer, int):
                    self.send_response(server.answer)
                    self.end_headers()
                else:
                    server.answer(self)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]
        if credentials:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*credentials)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.http.server_port}/progress/default/job?attempt=1"


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    with server.http:
        thread = threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.http.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        yield server


def progress(epoch: int) -> Progress:
    return Progress(stage="Training", observed_at=datetime(2026, 1, 2, tzinfo=UTC), epoch=epoch, epochs=9)


@dataclass
class Run:
    """A run folder with progress, and what is posted of it."""

    root: Path

    def __post_init__(self) -> None:
        self.token.write_text(f"{TOKEN}\n")

    @property
    def token(self) -> Path:
        return self.root / "token"

    @property
    def path(self) -> Path:
        return self.root / "progress.json"

    @contextmanager
    def posted_to(self, url: str, authorities: Path | None = None) -> Iterator[Posting]:
        """Post to a URL while the body runs."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(pod.PROGRESS_URL, url)
            patch.setenv(pod.PROGRESS_TOKEN_FILE, str(self.token))
            if authorities:
                patch.setenv(pod.PROGRESS_CA, str(authorities))
            receiver = Receiver.of_environment()
        assert receiver
        posting = Posting(self.path, receiver)
        posting.start()
        yield posting
        posting.finish()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the file often, and lose patience soon."""
    monkeypatch.setattr(posting_module, "SECONDS_BETWEEN_POSTS", 0.05)
    monkeypatch.setattr(posting_module, "SECONDS_TO_ANSWER", 0.3)


def epochs(server: Server) -> list[int | None]:
    return [Progress.model_validate_json(post.body).epoch for post in server.posts]


def test_progress_is_posted_as_json_with_the_token(run: Run, server: Server) -> None:
    progress(1).write(run.path)
    with run.posted_to(server.url):
        pass
    (post,) = server.posts
    assert Progress.model_validate_json(post.body) == progress(1)
    assert post.path == "/progress/default/job?attempt=1"
    assert post.headers["Authorization"] == f"Bearer {TOKEN}"
    assert post.headers["Content-Type"] == "application/json"


def test_of_many_changes_the_newest_is_posted_every_two_seconds_and_the_last_at_the_end(
    run: Run, server: Server
) -> None:
    progress(0).write(run.path)
    with run.posted_to(server.url):
        for epoch in range(1, 31):
            progress(epoch).write(run.path)
            time.sleep(0.1)
        progress(99).write(run.path)
    assert len(server.posts) <= 4
    assert epochs(server)[-1] == 99
    between = [later.at - earlier.at for earlier, later in zip(server.posts[:-2], server.posts[1:-1], strict=True)]
    assert all(seconds > 1.8 for seconds in between)


@pytest.mark.usefixtures("fast")
def test_what_did_not_change_is_posted_once(run: Run, server: Server) -> None:
    progress(1).write(run.path)
    with run.posted_to(server.url):
        time.sleep(0.5)
    assert epochs(server) == [1]


@pytest.mark.usefixtures("fast")
def test_a_replica_that_does_not_lead_is_passed_over(
    run: Run, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def one_in_three_leads(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(503 if len(server.posts) % 3 else 204)
        handler.end_headers()

    server.answer = one_in_three_leads
    progress(1).write(run.path)
    with run.posted_to(server.url):
        time.sleep(0.3)
    assert epochs(server) == [1, 1, 1]
    assert "not received" not in capsys.readouterr().out


@pytest.mark.usefixtures("fast")
def test_a_token_that_is_replaced_is_read_anew(run: Run, server: Server, wait_until: Wait) -> None:
    progress(1).write(run.path)
    with run.posted_to(server.url):
        wait_until(lambda: len(server.posts) == 1)
        run.token.write_text("the-next-token")
        progress(2).write(run.path)
    assert server.posts[-1].headers["Authorization"] == "Bearer the-next-token"


@pytest.mark.usefixtures("fast")
def test_an_outage_is_one_line_and_so_is_its_end(
    run: Run, server: Server, wait_until: Wait, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = 500
    progress(1).write(run.path)
    with run.posted_to(server.url):
        wait_until(lambda: len(server.posts) > 3)
        server.answer = 204
        progress(2).write(run.path)
        wait_until(lambda: 2 in epochs(server))
    where = server.url.partition("?")[0]
    assert capsys.readouterr().out.splitlines() == [
        f"progress is not received by {where}: status 500; the training goes on",
        f"progress is received again by {where}",
    ]


@pytest.mark.usefixtures("fast")
def test_a_redirect_is_not_followed_as_the_token_would_go_along(run: Run, server: Server) -> None:
    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("Location", other.url)
        handler.end_headers()

    server.answer = elsewhere
    progress(1).write(run.path)
    with serving(Server()) as other, run.posted_to(server.url):
        time.sleep(0.3)
    assert server.posts
    assert not other.posts


@pytest.mark.usefixtures("fast")
def test_no_proxy_is_given_the_token(run: Run, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Server()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        progress(1).write(run.path)
        with run.posted_to(server.url):
            pass
    assert server.posts
    assert not proxy.posts


def hang(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(20)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Never so slow that a read would time out, and never done."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Letters: ")
    for _ in range(60):
        handler.wfile.write(b"x")
        time.sleep(0.5)


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(f"\0\1 {TOKEN} no HTTP\r\n\r\n".encode())


def repeat_the_request(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(f"{TOKEN} {handler.headers}\r\n".encode() * 10)


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 20")


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("answer", [hang, garbage, repeat_the_request, cut_off, 100, 302, 401, 503])
def test_a_receiver_that_misbehaves_costs_a_line_without_the_token(
    run: Run,
    server: Server,
    answer: int | Callable[[BaseHTTPRequestHandler], None],
    wait_until: Wait,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server.answer = answer
    progress(1).write(run.path)
    with run.posted_to(server.url) as posting:
        wait_until(lambda: len(server.posts) > 1)
        assert posting.thread.is_alive()
    output = "".join(capfd.readouterr())
    assert output.count("progress is not received by") == 1
    assert output.count("\n") == 1
    assert TOKEN not in output


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("token", [f"{TOKEN}\nX-Header: 1", f"{TOKEN}\u2026", ""], ids=["lines", "letters", "empty"])
def test_a_token_that_no_header_holds_is_not_shown(
    run: Run, server: Server, token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run.token.write_text(token)
    server.answer = 401
    progress(1).write(run.path)
    with run.posted_to(server.url):
        pass
    output = "".join(capfd.readouterr())
    assert "progress is not received by" in output
    assert TOKEN not in output


@pytest.mark.usefixtures("fast")
def test_a_server_that_is_not_there_yet_gets_the_newest_when_it_is(run: Run, wait_until: Wait) -> None:
    progress(1).write(run.path)
    port = free_port()
    with run.posted_to(f"http://127.0.0.1:{port}/"):
        time.sleep(0.2)
        progress(2).write(run.path)
        with serving(Server(port=port)) as server:
            wait_until(lambda: bool(server.posts))
            assert set(epochs(server)) == {2}


class TestTLS:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path / "authority")

    def test_a_server_of_the_given_authority_receives(self, run: Run, authority: Authority) -> None:
        issued = authority.issue("controller", user="controller", hosts=["127.0.0.1"])
        progress(1).write(run.path)
        with serving(Server((issued.certificate, issued.key))) as server:
            with run.posted_to(server.url, authority.certificate):
                pass
            assert epochs(server) == [1]

    @pytest.mark.parametrize("wrong", ["host", "authority", "system", "no file"])
    def test_any_other_server_gets_no_token(
        self, run: Run, authority: Authority, tmp_path: Path, wrong: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        issued = authority.issue(
            "controller", user="controller", hosts=["10.1.2.3" if wrong == "host" else "127.0.0.1"]
        )
        trusted = {
            "host": authority.certificate,
            "authority": Authority(tmp_path / "other").certificate,
            "system": None,
            "no file": tmp_path / "nowhere.pem",
        }[wrong]
        progress(1).write(run.path)
        with serving(Server((issued.certificate, issued.key))) as server:
            with run.posted_to(server.url, trusted):
                pass
            assert not server.posts
        output = "".join(capfd.readouterr())
        assert ("No such file" if wrong == "no file" else "certificate verify failed") in output


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {pod.PROGRESS_TOKEN_FILE: "/token"},
        {pod.PROGRESS_URL: "http://controller/"},
        {pod.PROGRESS_URL: "file:///etc/passwd", pod.PROGRESS_TOKEN_FILE: "/token"},
        {pod.PROGRESS_URL: "http://controller:port/", pod.PROGRESS_TOKEN_FILE: "/token"},
        {pod.PROGRESS_URL: "http://", pod.PROGRESS_TOKEN_FILE: "/token"},
    ],
)
def test_without_a_url_and_a_token_nothing_is_posted(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (pod.PROGRESS_URL, pod.PROGRESS_TOKEN_FILE):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Receiver.of_environment() is None


class TestTheLauncher:
    @pytest.fixture
    def received(self, a_pod: Pod, server: Server) -> Pod:
        (a_pod.root / "token").write_text(TOKEN)
        a_pod.environment |= {pod.PROGRESS_URL: server.url, pod.PROGRESS_TOKEN_FILE: str(a_pod.root / "token")}
        return a_pod

    def test_it_posts_to_its_end(self, received: Pod, server: Server) -> None:
        code, output, _ = received.preflight(received.told())
        assert code == 0, output
        last = Progress.model_validate_json(server.posts[-1].body)
        assert (last.stage, last.message) == ("Done", "Preflight passed")
        assert TOKEN not in output

    def test_its_end_waits_three_seconds_for_a_server_that_hangs(self, received: Pod, server: Server) -> None:
        server.answer = drip
        started = time.monotonic()
        process = received.start("--preflight", "--from", received.mounted(received.told()), "run")
        output, _ = process.communicate(timeout=60)
        ended = time.monotonic()
        assert process.returncode == 0, output
        assert server.posts, "it tried"
        told = received.message.stat().st_mtime
        assert ended - started < 30
        assert time.time() - told - (time.monotonic() - ended) < 6, "three seconds, and a machine that is busy"

    def test_only_the_first_node_posts(self, received: Pod, server: Server) -> None:
        received.run("--node-rank=1", "--from", received.mounted(received.told()), "--preflight", "run")
        assert not server.posts
