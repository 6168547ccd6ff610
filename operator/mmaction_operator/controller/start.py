"""``mmaction-controller``: hold signals back first of all, then load and start everything else.

The first process of a container has no default for SIGTERM: one that comes before anybody listens is lost, and the
controller, told to end, would take the lead and be killed with it half a minute later. A signal that is held back waits
until ``main`` asks for it.
"""

from __future__ import annotations

import signal


def main() -> None:
    """The command."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    from . import main as controller  # takes a second to load

    controller.main()


if __name__ == "__main__":
    main()
