"""Jobs and logs that are followed while the way to the cluster is in trouble. On real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes.client.configuration import Configuration

from mmaction_operator.cli.cluster import Cluster
from mmaction_operator.cli.connecting import ClusterFailure
from mmaction_operator.controller.resources import TRAINJOBS
from mmaction_operator.kube import Client, Connection, Object, Patience
from tests.unit.kube.scripted import ScriptedServer, Stream, bookmark, line, listing, refusal, thing


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def cluster(server: ScriptedServer) -> Cluster:
    """A cluster as the scripted server plays it; nothing really waits."""
    connection = Connection(Configuration(host=server.url), user_agent="tests")
    client = Client(connection=connection, field_manager="tests", patience=Patience(attempts=1, connect=2, read=2))
    return Cluster(client, "one", sleep=lambda _: None)


def job(version: int, uid: str = "u") -> Object:
    return thing("a", version, resource=TRAINJOBS, uid=uid)


def versions(cluster: Cluster, count: int) -> list[str]:
    """Versions of a job as they are seen."""
    seen = cluster.follow("a")
    return [next(seen)["metadata"]["resourceVersion"] for _ in range(count)]


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param([Stream((line("MODIFIED", job(8)),), "in order")], id="a watch that ends"),
        pytest.param([Stream((line("MODIFIED", job(8)),), "cut")], id="a watch that is cut"),
        pytest.param(
            [Stream((line("MODIFIED", job(8)),), "cut"), refusal(503), refusal(429)], id="a server that starts"
        ),
    ],
)
def test_a_job_is_followed_from_where_it_was_last_seen(
    server: ScriptedServer, cluster: Cluster, trouble: list[Stream]
) -> None:
    server.answers(listing(7, job(5)), *trouble, Stream((bookmark(9), line("MODIFIED", job(10)))))
    assert versions(cluster, 3) == ["5", "8", "10"]
    first, *_, last = server.of(watch=True)
    assert (first.query["resourceVersion"], last.query["resourceVersion"]) == ("7", "8")
    assert first.query["fieldSelector"] == "metadata.name=a"
    assert first.path == "/apis/mmaction.dev/v1alpha1/namespaces/one/trainjobs"


def test_what_was_missed_is_looked_up(server: ScriptedServer, cluster: Cluster) -> None:
    server.answers(
        listing(7, job(5)), refusal(410, "Expired"), listing(9, job(8)), Stream((line("MODIFIED", job(10)),))
    )
    assert versions(cluster, 3) == ["5", "8", "10"]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param([Stream((line("DELETED", job(8)),))], id="while it is watched"),
        pytest.param([refusal(410, "Expired"), listing(9)], id="unseen"),
        pytest.param([refusal(410, "Expired"), listing(9, job(8, uid="other"))], id="and made again"),
    ],
)
def test_a_job_that_is_deleted_is_no_longer_followed(
    server: ScriptedServer, cluster: Cluster, end: list[Stream]
) -> None:
    server.answers(listing(7, job(5)), *end)
    with pytest.raises(ClusterFailure, match="was deleted"):
        versions(cluster, 3)


def test_a_cluster_that_never_answered_is_given_up_at_once(server: ScriptedServer, cluster: Cluster) -> None:
    server.answers(refusal(503, "ServiceUnavailable", "starting"))
    with pytest.raises(ClusterFailure, match="503 ServiceUnavailable"):
        versions(cluster, 1)
    assert len(server.asked) == 1


def test_a_cluster_that_is_silent_for_minutes_is_given_up(
    server: ScriptedServer, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmaction_operator.cli.cluster.OUTAGE", 0.2)
    server.answers(listing(7, job(5)), Stream((), "cut"), *[refusal(503)] * 10_000)
    with pytest.raises(ClusterFailure, match="503"):
        versions(cluster, 2)
    assert len(server.asked) > 4


def stamped(number: int, text: str) -> bytes:
    """A line of a log with its time, as kubelets write it."""
    return f"2026-01-01T00:00:00.{number:09}Z {text}\n".encode()


def test_a_log_that_is_followed_goes_on_behind_the_last_line(server: ScriptedServer, cluster: Cluster) -> None:
    one, two, three = stamped(1, "one"), stamped(20, "two"), stamped(300, "three")
    server.answers(
        Stream((one, two[:-2]), "cut"),
        refusal(503),
        Stream((one, two), "cut"),
        Stream((two, three, stamped(300, "four"), stamped(301, ""), stamped(302, "no end")[:-1]), "in order"),
    )
    assert list(cluster.log("a", follow=True, tail=2)) == [b"one", b"two", b"three", b"four", b"", b"no end"]
    first, _, second, third = (asked.query for asked in server.asked)
    assert first == {"timestamps": "true", "follow": "true", "tailLines": "2"}
    assert second == {"timestamps": "true", "follow": "true", "sinceTime": "2026-01-01T00:00:00.000000001Z"}
    assert third["sinceTime"] == "2026-01-01T00:00:00.000000020Z"


def test_a_log_that_is_read_once_is_not_begun_anew(server: ScriptedServer, cluster: Cluster) -> None:
    server.answers(Stream((stamped(1, "one"),), "cut"))
    with pytest.raises(ClusterFailure, match="no answer"):
        list(cluster.log("a", follow=False, tail=None))
    assert server.asked[0].query == {"timestamps": "true"}
