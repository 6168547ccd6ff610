"""The documentation as a whole: its site is built strictly, and none of its commands is one that nobody runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import LEFT_OUT, ROOT, WALKS, commands, documents, script

COPIED = ("docs", "examples", "charts", "bench", "README.md", "CONTRIBUTING.md", "LICENSE", "NOTICE")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of what the site is built from."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


def build(root: Path) -> subprocess.CompletedProcess[str]:
    """Build the site as ``make docs`` does."""
    options = ("--quiet", "--fail-on-warning", "--keep-going", "--conf-dir", "docs", ".", "build/site")
    command = [sys.executable, "-m", "sphinx", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_the_site_is_built_and_begins_where_a_browser_looks(copied: Path) -> None:
    done = build(copied)
    assert (done.returncode, done.stderr) == (0, "")
    site = copied / "build" / "site"
    (target,) = re.findall(r"url=(\S+)\"", (site / "index.html").read_text())
    assert (site / target).is_file()
    assert all((site / path).with_suffix(".html").is_file() for path in documents())


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("[page](no-such-page.md)", "no-such-page.md"),
        ("[heading](concepts.md#no-such-heading)", "no-such-heading"),
        ("[file](../examples/no-such.yaml)", "no-such.yaml"),
        ("![picture](pictures/no-such.svg)", "no-such.svg"),
    ],
)
def test_a_link_that_leads_nowhere_is_an_error(copied: Path, link: str, said: str) -> None:
    with (copied / "docs" / "local.md").open("a") as page:
        page.write(f"\n{link}\n")
    done = build(copied)
    assert done.returncode != 0
    assert said in done.stderr


def test_a_page_that_no_other_leads_to_is_an_error(copied: Path) -> None:
    (copied / "docs" / "lonely.md").write_text("# Lonely\n")
    done = build(copied)
    assert done.returncode != 0
    assert "lonely" in done.stderr


def test_every_document_with_commands_is_walked_through() -> None:
    assert {path for path in documents() if set(commands(path)) - LEFT_OUT.keys()} == WALKS.keys()


def test_what_is_left_out_or_put_otherwise_is_there() -> None:
    typed = {path: commands(path) for path in documents()}
    assert LEFT_OUT.keys() <= {command for all_ in typed.values() for command in all_}
    for path, walk in WALKS.items():
        for text in walk.instead:
            assert any(text in command for command in typed[path]), (path, text)


def test_a_script_has_a_documents_commands_in_their_order() -> None:
    lines = script("docs/first-job.md").splitlines()
    assert lines[:3] == ["set -euo pipefail", "echo '$ trainjob validate job.yaml'", "trainjob validate job.yaml"]
    assert "trainjob leaderboard results" in lines
    assert lines[-1].startswith("trainjob demo ./fetched $(ls ")


def test_every_target_that_a_document_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for path in documents():
        named = re.findall(r"`make ([a-z0-9-]+)`|^    make ([a-z0-9-]+)", (ROOT / path).read_text(), flags=re.MULTILINE)
        assert {name for pair in named for name in pair if name} <= targets, path
