"""The core of a controller, for any resource: what stands between a reconcile function and an API server.

A controller makes the cluster what objects say it should be. It never executes commands that arrive as events; it
looks at what is there, again and again, whenever something may have changed. Events only say *where* to look::

    API server ══ list, watch ══► Informer ──► Store  ◄── reads ─┐
        ▲                            │ key                       │
        │                            ▼                           │
        │                        WorkQueue ── one key each ──► workers: reconcile(key) -> come back in seconds | None
        └──────────────── apply, delete ─────────────────────────┘

Read it in this order, from what the wire needs to what a controller means:

- ``resource``: names: Resource, Key, Selection
- ``errors``: one tree; ``pace``: TokenBucket, Backoff
- ``connection``: where the server is and who we are; ``asking``: how often and how fast
- ``client``: the verbs; ``watch``: one stream of changes
- ``store``: what is known; ``reflector``: list and watch, for ever; ``informer``: both, and who is told
- ``workqueue``: which keys want work, and when
- ``crew``: threads that stand and fall together; ``leader``: of several processes, one acts
- ``controller``: the loop; ``events``: what people are told

A whole controller::

    client = Client(connection=Connection.load(user_agent="example"), field_manager="example")
    parents, children = Informer(client, PARENTS), Informer(client, CHILDREN, labels="app=example")

    def reconcile(key: Key) -> float | None:
        parent = parents.store.get(key)
        if parent is None:
            return None
        for child in desired(parent, children.store.children(parent["metadata"]["uid"])):
            client.apply(CHILDREN, child)
        return None

    controller = Controller(reconcile)
    controller.watch(parents)
    controller.watch(children, controller_in(PARENTS))
    controller.run(Elector(hasty(client), Key("default", "example"), identity))

Of the official client, only its configuration, authentication, TLS and connection pool are used; objects are JSON.
This package knows nothing of training, and nothing else of this project.
"""

from .asking import Exchange, Patience
from .client import Client, Listing, Propagation
from .connection import Connection
from .controller import Controller, Reconciled, controller_in, itself
from .crew import Crew
from .errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    Refused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from .events import EventRecorder
from .informer import Informer, trim
from .leader import Elector, LeadershipLost, LeaseTimes, hasty
from .pace import Backoff, Clock, TokenBucket
from .reflector import WatchTimes
from .resource import Key, Object, Resource, Selection, controller_of, precedes, version_of
from .store import Change, Index, Store
from .workqueue import WorkQueue

__all__ = [
    "AlreadyExists",
    "Backoff",
    "Change",
    "Client",
    "Clock",
    "Conflict",
    "Connection",
    "Controller",
    "Crew",
    "Elector",
    "EventRecorder",
    "Exchange",
    "Forbidden",
    "Gone",
    "Index",
    "Informer",
    "Invalid",
    "Key",
    "KubeError",
    "LeadershipLost",
    "LeaseTimes",
    "Listing",
    "NotFound",
    "Object",
    "Patience",
    "Propagation",
    "Reconciled",
    "Refused",
    "Resource",
    "Selection",
    "Store",
    "TokenBucket",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "WatchTimes",
    "WorkQueue",
    "controller_in",
    "controller_of",
    "hasty",
    "itself",
    "precedes",
    "trim",
    "version_of",
]
