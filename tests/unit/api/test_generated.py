"""The CRD and the reference in the repository are what the models say, and a check fails when they are not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmaction_operator.api.crd import crd
from mmaction_operator.api.reference import reference
from mmaction_operator.api.schema import described
from mmaction_operator.api.trainjob import TrainJob
from mmaction_operator.cli.app import app
from mmaction_operator.plan.conditions import CONDITIONS, EVENTS, REASONS
from mmaction_trainer.contract.errors import FAILURES

ROOT = Path(__file__).parents[3]
CRD = "charts/mmaction-operator/files/trainjobs.mmaction.dev.yaml"
REFERENCE = "docs/reference/trainjob.md"
VALUES = "charts/mmaction-operator/values.schema.json"
PAGES = ("docs/reference/commands.md", "docs/reference/failures.md", "docs/reference/signals.md")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated")
    assert run("--root", str(root)).returncode == 0
    return root


@pytest.fixture
def written(once: Path, tmp_path: Path) -> Path:
    """A folder with everything that the script writes."""
    return shutil.copytree(once, tmp_path / "written")


def test_the_files_in_the_repository_are_fresh() -> None:
    check = run("--check")
    assert (check.returncode, check.stderr) == (0, "")


def test_what_is_written_is_fresh(written: Path) -> None:
    assert run("--check", "--root", str(written)).returncode == 0


@pytest.mark.parametrize("name", [CRD, REFERENCE, VALUES, *PAGES])
def test_a_file_that_was_edited_is_named_and_left_alone_by_the_check(written: Path, name: str) -> None:
    file = written / name
    file.write_text(file.read_text() + "\n")
    before = file.read_bytes()
    check = run("--check", "--root", str(written))
    assert check.returncode == 1
    assert check.stderr == f"{name} is stale: run `make generate`\n"
    assert file.read_bytes() == before


def test_a_missing_file_is_stale(written: Path) -> None:
    (written / CRD).unlink()
    check = run("--check", "--root", str(written))
    assert (check.returncode, check.stderr) == (1, f"{CRD} is stale: run `make generate`\n")


@pytest.mark.parametrize("name", [CRD, REFERENCE, *PAGES])
def test_a_generated_file_says_so_and_by_which_command(name: str) -> None:
    first = (ROOT / name).read_text().splitlines()[0]
    assert "Generated" in first
    assert "`make generate`" in first


def test_the_crd_file_holds_the_crd_without_anchors() -> None:
    text = (ROOT / CRD).read_text()
    assert yaml.safe_load(text) == crd()
    assert "&id" not in text


def test_the_reference_has_every_field_with_its_description_and_bounds() -> None:
    page = reference()
    training = described(TrainJob)["properties"]["spec"]["properties"]["training"]["properties"]
    for name, field in training.items():
        assert f"| `{name}` | " in page
        assert field["description"] in page
    assert '| `precision` | text | `"fp32"` | one of fp32, fp16, bf16 | ' in page
    assert "| `config` | text | required | at most 200 characters, of letters" in page
    assert "| `conditions` | [list](#statusconditions) | `[]` | at most 16 items | " in page
    assert "## status.conditions[]\n" in page


def test_the_reference_has_every_rule() -> None:
    assert "- `lr`: must be above 0 (`!has(self.lr) || self.lr > 0.0`)\n" in reference()


def test_the_page_of_failures_has_every_exit_code_with_what_to_do() -> None:
    page = (ROOT / "docs/reference/failures.md").read_text()
    for failure in FAILURES:
        assert f"| {failure.exit_code} | {failure.name} | {failure.__doc__} | {failure.remedy} |" in page


def test_the_page_of_commands_has_every_command() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    named = [command.name for command in app.registered_commands]
    assert len(named) == 10
    for name in (*named, "results list", "results get", "results verify"):
        assert f"# `trainjob {name}`\n" in page
    assert "env var: MMACTION_TRAINER_IMAGE" in page


def test_the_page_of_signals_has_every_reason_metric_and_alert() -> None:
    page = (ROOT / "docs/reference/signals.md").read_text()
    for word in (*CONDITIONS, *REASONS, *EVENTS, "`mmaction_operator_failures_total`", "TrainJobControllerAbsent"):
        assert f"| {word} | " in page


def test_no_text_of_the_reference_is_taken_for_html() -> None:
    prose = "".join(part for number, part in enumerate(reference().split("`")) if number % 2 == 0)
    assert "<" not in prose.replace("\\<", "")
