"""The chart: its own tests, its values, and that nothing in it speaks of what is not there."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.pages import all_metrics
from tests.cluster.chart import CHART
from tests.cluster.programs import program

TESTS = sorted((CHART / "tests").glob("*_test.yaml"))
VERSION = "--kube-version=1.36.0"
OPEN = ("resources", "affinity", "nodeSelector", "podLabels", "podAnnotations")
"""Values whose content is Kubernetes' own."""


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """A program's answer."""
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


def test_its_own_tests_pass() -> None:
    done = run(program("helm-unittest"), "--strict", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_free_of_what_helm_objects_to() -> None:
    done = run(program("helm"), "lint", "--strict", VERSION, CHART)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("replica=2", "replica"),
        ("image.tags=v1", "tags"),
        ("replicas=0", "replicas"),
        ("image.digest=v1", "digest"),
        ("logLevel=loud", "logLevel"),
        ("serviceMonitor.enabled=sometimes", "enabled"),
    ],
)
def test_a_value_that_means_nothing_is_refused(value: str, said: str) -> None:
    done = run(program("helm"), "template", "release", CHART, VERSION, "--set", value)
    assert done.returncode != 0
    assert said in done.stderr


def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths of the values that a user may set."""
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in (*OPEN, "labels"):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_every_value_is_set_by_a_test_and_every_template_has_one() -> None:
    suites = [yaml.safe_load(path.read_text()) for path in TESTS]
    cases = [case for suite in suites for case in suite["tests"]]
    given = {leaf for case in cases for leaf in leaves(case.get("set", {}))}
    wanted = set(leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
    assert {leaf for leaf in wanted if not any(each == leaf or each.startswith(f"{leaf}.") for each in given)} == set()
    named = {name for suite in suites for name in suite.get("templates", ())}
    named |= {name for case in cases for name in (case.get("template"), *case.get("templates", ())) if name}
    assert named == {path.name for path in (CHART / "templates").glob("*.yaml")}


def test_the_readme_is_that_of_the_values() -> None:
    done = run(program("helm-docs"), f"--chart-search-root={CHART.parent}", "--dry-run", "--log-level=warning")
    assert done.stdout.strip() == (CHART / "README.md").read_text().strip(), "`make chart` writes it anew"


def test_alerts_and_dashboard_ask_for_metrics_that_there_are() -> None:
    known = {family.name for family in all_metrics().registry.collect()}
    rules = run(program("helm"), "template", "release", CHART, VERSION, "--set=prometheusRule.enabled=true").stdout
    dashboard = (CHART / "files" / "dashboard.json").read_text()
    asked = set(re.findall(r"mmaction_operator_\w+", rules + dashboard))
    assert len(asked) >= 8
    assert {re.sub("_(total|bucket)$", "", name) for name in asked} <= known
    identifiers = [panel["id"] for panel in json.loads(dashboard)["panels"]]
    assert len(identifiers) == len(set(identifiers))
