"""A process that takes part in an election: ``python -m tests.api.kube.electing KUBECONFIG NAMESPACE NAME IDENTITY``.

It says when it is there and when it begins to lead, and ends in order when its input ends.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from mmaction_operator.kube import Client, Connection, Controller, Elector, Key, LeaseTimes, hasty

TIMES = LeaseTimes(duration=3, deadline=2, retry=0.3)


def main(kubeconfig: str, namespace: str, name: str, identity: str) -> None:
    client = Client(connection=Connection.load(Path(kubeconfig), user_agent=identity), field_manager=identity)
    elector = Elector(hasty(client), Key(namespace, name), identity, times=TIMES)

    def reconcile(_: Key) -> None:
        print("leads", flush=True)

    controller = Controller(reconcile, workers=1)
    controller.queue.add(Key(namespace, name))

    def wait() -> None:
        sys.stdin.read()
        controller.stop()

    threading.Thread(target=wait, daemon=True).start()
    print("is there", flush=True)
    controller.run(elector)


if __name__ == "__main__":
    main(*sys.argv[1:])
