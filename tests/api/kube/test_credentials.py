"""Who the API server takes us for, by each of the ways in which we may know who we are."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.config import incluster_config

from mmaction_operator.kube import Client, Connection, Resource, Unauthorized, Unreachable
from tests.cluster.api_server import ApiServer
from tests.cluster.authority import Authority

REVIEWS = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False)


def whoami(connection: Connection) -> str:
    client = Client(connection=connection, field_manager="tests")
    review = {"apiVersion": REVIEWS.api_version, "kind": REVIEWS.kind}
    name: str = client.create(REVIEWS, review)["status"]["userInfo"]["username"]
    return name


@pytest.fixture
def tokens(server: ApiServer, namespace: str) -> list[str]:
    """Tokens of two service accounts."""
    for name in ("first", "second"):
        server.kubectl("create", "serviceaccount", name, "--namespace", namespace)
    return [server.kubectl("create", "token", name, "--namespace", namespace).strip() for name in ("first", "second")]


def test_a_pod_is_its_service_account_and_its_rotated_token_is_read_again(
    server: ApiServer, namespace: str, tokens: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(tokens[0])
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(server.authority.certificate))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", server.address)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.PORT))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / "namespace").write_text("team-a")
    monkeypatch.setattr("mmaction_operator.kube.connection.SERVICE_ACCOUNT_NAMESPACE", tmp_path / "namespace")
    connection = Connection.load(user_agent="tests")
    assert connection.namespace == "team-a"
    assert whoami(connection) == f"system:serviceaccount:{namespace}:first"
    token.write_text(tokens[1])

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) + timedelta(minutes=2)

    monkeypatch.setattr("kubernetes.config.incluster_config.datetime.datetime", Later)
    assert whoami(connection) == f"system:serviceaccount:{namespace}:second"


@pytest.fixture
def plugin(server: ApiServer, tmp_path: Path) -> Path:
    """A kubeconfig whose user is whoever a program says; the program says the next token each time it runs."""
    program = tmp_path / "plugin"
    program.write_text(f"#!/bin/sh\nexec sh {tmp_path}/says\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    content = yaml.safe_load(server.kubeconfig.read_text())
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    content["users"][0]["user"] = {"exec": run}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


def says(folder: Path, token: str, *, valid: timedelta) -> None:
    until = (datetime.now(UTC) + valid).strftime("%Y-%m-%dT%H:%M:%SZ")
    kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    credential = {**kind, "status": {"token": token, "expirationTimestamp": until}}
    (folder / "says").write_text(f"cat <<'END'\n{json.dumps(credential)}\nEND\n")


def test_a_plugin_is_asked_who_we_are_and_again_once_its_word_is_too_old(
    plugin: Path, namespace: str, tokens: list[str], tmp_path: Path
) -> None:
    says(tmp_path, tokens[0], valid=timedelta(hours=-1))
    connection = Connection.load(plugin, user_agent="tests")
    assert whoami(connection) == f"system:serviceaccount:{namespace}:first"
    says(tmp_path, tokens[1], valid=timedelta(hours=1))
    assert whoami(connection) == f"system:serviceaccount:{namespace}:second"
    says(tmp_path, tokens[0], valid=timedelta(hours=1))
    assert whoami(connection) == f"system:serviceaccount:{namespace}:second"


def test_a_token_that_is_none_is_refused(plugin: Path, tmp_path: Path) -> None:
    says(tmp_path, "made up", valid=timedelta(hours=1))
    with pytest.raises(Unauthorized):
        whoami(Connection.load(plugin, user_agent="tests"))


def test_kubeconfig_is_found_by_its_variable(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")  # a pod whose user names another cluster
    assert whoami(Connection.load(user_agent="tests")) == "admin"


def test_a_server_that_cannot_prove_who_it_is_is_not_talked_to(server: ApiServer, tmp_path: Path) -> None:
    content = yaml.safe_load(server.kubeconfig.read_text())
    content["clusters"][0]["cluster"]["certificate-authority"] = str(Authority(tmp_path / "other").certificate)
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(Unreachable, match="certificate verify failed"):
        whoami(Connection.load(path, user_agent="tests"))


@pytest.mark.parametrize("content", [None, "", "clusters: []", ": no yaml :"])
def test_without_a_kubeconfig_nothing_is_guessed(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Unreachable, match="connect to Kubernetes"):
        Connection.load(path, user_agent="tests")
