"""The generated pages of docs/reference beside the fields: commands, failures, and what tells of a job."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from mmaction_operator.api.reference import table
from mmaction_operator.cli.app import app
from mmaction_operator.cli.connecting import ClusterFailure
from mmaction_operator.controller.main import controller
from mmaction_operator.controller.metrics import BY_PHASE, Metrics, State
from mmaction_operator.kube import Controller, Store
from mmaction_operator.plan.conditions import CONDITIONS, EVENTS, PHASES, REASONS
from mmaction_operator.plan.course import FIRST_WAIT, LONGEST_WAIT
from mmaction_operator.plan.failures import MOST_FREE, OF_A_CLUSTER, RETRY
from mmaction_operator.ports import PortRange, PortRegistry
from mmaction_trainer.contract.errors import FAILURES, Failure
from mmaction_trainer.contract.preflight import CHECKS
from mmaction_trainer.data.decoding import FEWEST

TOLD = {"plain": "Normal", "warning": "Warning", "none": ""}
RETRIED = {"never": "fails at once", "charged": "tried again, counted", "free": "tried again, not counted"}


def commands() -> str:
    """docs/reference/commands.md: every command, argument and option, in the words of ``--help``."""
    daemon = typer.Typer(add_completion=False)
    daemon.command()(controller)
    introduction = """\
# Commands

`trainjob` is for users, on one machine and on a cluster; where `kubectl-trainjob` is on the `PATH`, `kubectl trainjob`
is the same program. `mmaction-controller` is what the chart runs. Exit codes: [failures](failures.md).
"""
    pages = [_of_command("trainjob", app), _of_command("mmaction-controller", daemon)]
    return "\n".join([introduction, *pages])


def _of_command(name: str, of: typer.Typer) -> str:
    """A program's section; its title is one level below the page's."""
    command = get_command(of)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name=name), name=name)
    text = re.sub(r"^Exit codes: .*\n\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^#", "##", text, flags=re.MULTILINE).strip() + "\n"


def failures() -> str:
    """docs/reference/failures.md: every class of failure, its exit code, what to do, and what a cluster does."""
    introduction = f"""\
# Failures

A failure names the field or file, what was found, what is accepted and what to do. Its class is the exit code of
`trainjob` and of a trainer's pod, the reason of a job's condition `Failed`, and a label of the metric
`mmaction_operator_failures_total`. Exit code 0 is success, 2 a wrong command line. [When an attempt
fails](../failed.md) tells how the rank that failed first is found, and a hang.

*On a cluster* says what happens after an attempt: one that is counted is made again until `spec.backoffLimit` is
reached, after {FIRST_WAIT.seconds} seconds, then twice that, up to {LONGEST_WAIT.seconds} seconds. One that is
not counted is made again at once, up to {MOST_FREE} of them; one more and the job has failed. A preflight is not an
attempt: what it finds ends the job, of whatever class, and once it is mended the job is submitted under another name.
"""
    rows = [_of_failure(kind) for kind in FAILURES]
    rows.append((str(Failure.exit_code), Failure.name, "Anything else.", Failure.remedy, RETRIED["charged"]))
    rows.append((*_of_failure(ClusterFailure)[:-1], "of the command line alone"))
    rows += [("1", name, means, remedy, RETRIED[RETRY[name]]) for name, (means, remedy) in OF_A_CLUSTER.items()]
    return f"{introduction}\n{table(('Code', 'Class', 'What it means', 'What to do', 'On a cluster'), rows)}"


def _of_failure(kind: type[Failure]) -> tuple[str, ...]:
    means = inspect.getdoc(kind) or ""
    return str(kind.exit_code), kind.name, means, kind.remedy, RETRIED[RETRY.get(kind.name, "charged")]


def preflight() -> str:
    """docs/reference/preflight.md: what is checked before a GPU is asked for."""
    introduction = f"""\
# Preflight

What is checked before a GPU is asked for: on a cluster by a small pod, with `trainjob run` as its first step, and by
itself with `trainjob preflight FILE`. All checks that can be made are made, whatever one of them finds, and told at
once: what has to be mended apart from what only has to be known. The first thing to mend ends the job; nothing is left
in storage.

`trainjob preflight FILE --output json` is the same for programs. A few videos of each split are decoded, or all of them
with `--full` (`spec.dataset.decode: all` on a cluster). What is fetched stays in the cache for the training.
`spec.preflight: false` leaves all of this out.

A video may be up to {FEWEST} times shorter than what the model sees at once: MMAction2 then shows frames again.
"""
    after = """
## The estimate of memory

A training step is taken on torch's meta device, which computes nothing and allocates nothing, but knows every tensor
that autograd would keep. Parameters, gradients, DDP's buckets and the optimizer's state are added. CUDA itself (about
half a gigabyte) and cuDNN's workspaces are not in it. Beside what MMAction2 has published for a batch of 8: SlowFast
R50 6.4 GB (6.2 published), I3D R50 5.4 GB (5.2), TimeSformer with divided attention 15.1 GB (14.3).
"""
    return f"{introduction}\n{table(('Check', 'Passes where'), CHECKS.items())}{after}"


def signals(chart: Path) -> str:
    """docs/reference/signals.md: conditions, their reasons, events, metrics and alerts.

    Args:
        chart: its folder; alerts are in it.
    """
    introduction = """\
# Conditions, events, metrics

What tells of a job: `kubectl describe trainjob NAME` and `trainjob status NAME` show its conditions and events, and
Prometheus reads the controller's metrics at `/metrics`, port 8080.
"""
    reasons = [(name, word.means, word.then, TOLD[word.telling]) for name, word in REASONS.items()]
    events = [(name, word.means, word.then, TOLD[word.telling]) for name, word in EVENTS.items()]
    heading = ("Reason", "What is so", "What happens, what to do", "Event")
    parts = [
        introduction,
        "## Phases\n",
        table(("Phase", "What it means"), PHASES.items()),
        "## Conditions\n",
        table(("Condition", "True means"), CONDITIONS.items()),
        "## Reasons\n",
        "Where *Event* stands, an event of that type and reason tells of it as well. A condition's other reasons are "
        "[classes of failure](failures.md).\n",
        table(heading, reasons),
        "## Events\n",
        "Events that no condition has a reason for:\n",
        table(heading, events),
        "## Metrics\n",
        "Of the replica that leads; the others count their own requests and have no jobs.\n",
        table(("Metric", "Type", "Labels", "What it is"), sorted(_metrics())),
        "## Alerts\n",
        "Installed with the chart's `prometheusRule.enabled`.\n",
        table(("Alert", "What is so", "What to do"), _alerts(chart)),
    ]
    return "\n".join(parts)


def all_metrics() -> Metrics:
    """All that a controller tells Prometheus, of one that has nothing yet."""
    metrics = Metrics()
    trainjobs: Any = SimpleNamespace(store=Store({BY_PHASE: lambda _: []}))
    metrics.registry.register(State(Controller(lambda _: None), trainjobs, PortRegistry(PortRange())))
    return metrics


def _metrics() -> Iterator[tuple[str, ...]]:
    """Rows of everything at ``/metrics``."""
    metrics = all_metrics()
    # The library tells labels of what has no sample yet by no public name.
    labels = {each._name: each._labelnames for each in vars(metrics).values() if hasattr(each, "_labelnames")}
    for family in metrics.registry.collect():
        names = labels.get(family.name) or getattr(family, "_labelnames", ())
        suffix = "_total" if family.type == "counter" else ""
        yield f"`{family.name}{suffix}`", family.type, ", ".join(names), family.documentation


def _alerts(chart: Path) -> Iterable[tuple[str, ...]]:
    """Rows of the chart's alerts."""
    rule = (chart / "templates" / "prometheusrule.yaml").read_text(encoding="utf-8")
    return re.findall(r"alert: (\w+).*?summary: (.+?)\n\s+description: (.+?)\n", rule, flags=re.DOTALL)
