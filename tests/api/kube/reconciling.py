"""A small controller and what it takes: ``python -m tests.api.kube.reconciling KUBECONFIG NAMESPACE OBJECTS``.

It waits for ConfigMaps to be there, and answers each by one server-side apply, with eight workers. What it took is
printed as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

STARTED = time.perf_counter()
PAGE = 4096


def megabytes() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


BARE = megabytes()

from mmaction_operator.kube import Client, Connection, Controller, Informer, Key  # noqa: E402

IMPORTED, LOADED = time.perf_counter() - STARTED, megabytes()

from tests.api.kube.objects import CONFIG_MAPS, config_map  # noqa: E402


def main(kubeconfig: str, namespace: str, objects: int) -> None:
    connection = Connection.load(Path(kubeconfig), user_agent="reconciling")
    client = Client(connection=connection, field_manager="reconciling", limit=None)
    informer = Informer(client, CONFIG_MAPS, namespaces=(namespace,), labels="reconcile=yes")
    writes: list[Key] = []
    answered: set[Key] = set()

    def reconcile(key: Key) -> None:
        item = informer.store.get(key)
        assert item
        if "answer" in item["data"]:
            answered.add(key)
            if len(answered) == objects:
                controller.stop()
            return
        writes.append(key)
        client.apply(CONFIG_MAPS, config_map(key.namespace, key.name, answer=item["data"]["question"][:10]))

    controller = Controller(reconcile)
    controller.watch(informer)
    late = threading.Timer(120, controller.stop)
    late.daemon = True
    late.start()
    begun, cpu = time.perf_counter(), time.process_time()
    controller.run()
    seconds = time.perf_counter() - begun
    took = {
        "answered": len(answered),
        "writes": len(writes),
        "seconds": seconds,
        "cpu": time.process_time() - cpu,
        "import": IMPORTED,
        "megabytes_bare": BARE,
        "megabytes_imported": LOADED,
        "megabytes": megabytes(),
    }
    print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
