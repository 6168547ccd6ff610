"""Events as kubectl shows them."""

from __future__ import annotations

from mmaction_operator.kube import Client, EventRecorder, hasty
from tests.api.kube.objects import CONFIG_MAPS, config_map
from tests.cluster.api_server import ApiServer


def test_kubectl_shows_what_was_said_and_how_often_also_across_a_crash(
    server: ApiServer, client: Client, namespace: str
) -> None:
    about = client.create(CONFIG_MAPS, config_map(namespace, "a"))
    for instance in ("before", "after"):
        recorder = EventRecorder(hasty(client), component="tests", instance=instance)
        for _ in range(2):
            recorder.record(about, reason="Broken", message="It is broken.", warning=True)
    described = server.kubectl("describe", "configmap", "a", "--namespace", namespace)
    assert described.count("It is broken.") == 1
    assert "Warning  Broken" in described
    assert "(x4 over" in described
