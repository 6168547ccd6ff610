"""What Prometheus is told."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mmaction_operator.kube import Controller, Exchange, Informer, Object, Reconciled
from mmaction_operator.plan import Settings, is_over
from mmaction_operator.plan.conditions import RUNNING, holds
from mmaction_operator.ports import PortRegistry

from .decided import Decided

PREFIX = "mmaction_operator"
START_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""Buckets: images are pulled in seconds or minutes, and nodes are waited for for hours."""


class Metrics:
    """Counters of what the controller does; what it has is read when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace=PREFIX, registry=self.registry)
        self.reconciles = counter("reconciles", "Reconciles that ended.", ["outcome"])
        self.requests = counter("api_requests", "Requests to the API server.", ["verb", "resource", "code"])
        self.progress = counter("progress_posts", "What trainers posted.", ["status"])
        self.failures = counter("failures", "Attempts and preflights that failed, by class of failure.", ["failure"])
        histogram = partial(Histogram, namespace=PREFIX, registry=self.registry)
        self.seconds = histogram("reconcile_seconds", "How long a reconcile takes.")
        self.start_seconds = histogram(
            "start_seconds",
            "From a TrainJob's creation until all pods of its first attempt run.",
            buckets=START_SECONDS,
        )

    def reconciled(self, event: Reconciled) -> None:
        """Count a reconcile."""
        self.reconciles.labels("error" if event.error else "success").inc()
        self.seconds.observe(event.seconds)

    def written(self, event: Decided) -> None:
        """Count what a status says that the one before did not."""
        before, status, failure = event.before, event.status, event.course.failure
        if failure and (is_over(status) or status.attempt != before.attempt):
            self.failures.labels(failure.name).inc()
        if status.attempt == 1 and holds(status, RUNNING) and not holds(before, RUNNING):
            self.start_seconds.observe((event.at - event.created).total_seconds())

    def exchanged(self, exchange: Exchange) -> None:
        """Count a request."""
        self.requests.labels(exchange.verb, exchange.resource, str(exchange.code)).inc()


class State(Collector):
    """What the controller has at this moment."""

    def __init__(self, controller: Controller, trainjobs: Informer, ports: PortRegistry) -> None:
        self.controller, self.trainjobs, self.ports = controller, trainjobs, ports

    def collect(self) -> Iterable[Metric]:
        """The gauges."""
        yield gauge("queue_depth", "Jobs that wait to be reconciled.", self.controller.queue.depth)
        yield gauge(
            "queue_oldest_seconds", "How long the first of them has waited.", max(self.controller.queue.oldest or 0, 0)
        )
        yield gauge("ports_leased", "Ports that are leased.", len(self.ports.holders()))
        phases = GaugeMetricFamily(f"{PREFIX}_trainjobs", "TrainJobs by phase.", labels=["phase"])
        tally = Tally({phase: len(keys) for phase, keys in self.trainjobs.store.values(BY_PHASE).items()})
        for phase, count in sorted(tally.items()):
            phases.add_metric([phase], count)
        yield phases


BY_PHASE = "phase"


def phase_of(settings: Settings, item: Object) -> list[str]:
    """Index of the TrainJobs that an installation takes care of."""
    if not settings.is_for(item["spec"].get("managedBy")):
        return []
    return [str(item.get("status", {}).get("phase", "Pending"))]


def gauge(name: str, help: str, value: float) -> Metric:  # noqa: A002
    """One number."""
    return GaugeMetricFamily(f"{PREFIX}_{name}", help, value)
