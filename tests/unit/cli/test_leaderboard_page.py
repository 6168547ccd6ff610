"""The leaderboard's page as a file: whole without a browser's help, and in which a name is never taken for HTML.

What it does in a browser is tested in tests/browser.
"""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from mmaction_operator.cli.app import app
from mmaction_trainer.contract.result import ModelReport
from tests.published_runs import leave, views

HOSTILE = "</title><script>alert(1)</script>"


def page(root: Path) -> str:
    done = CliRunner().invoke(app, ["leaderboard", str(root), "--output", "html"])
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return done.stdout


def tables(text: str) -> list[str]:
    return re.findall(r"<table.*?</table>", text, flags=re.DOTALL)


def test_each_group_has_a_table_of_its_own_and_what_is_not_ranked_has_one_with_reasons(tmp_path: Path) -> None:
    leave(tmp_path, "one", 0.96, views(10, 3))
    leave(tmp_path, "other", 0.97, views(10, 3), data="e" * 64)
    leave(tmp_path, "untested", 0.99, views(10, 3), test=None)
    one, other, apart = tables(page(tmp_path))
    assert "uid-of-one" in one
    assert "uid-of-other" in other
    assert re.search(r"uid-of-untested</th><td[^>]*>no test score</td>", apart)


def test_it_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    leave(tmp_path, "one", 0.96, views(10, 3))
    text = page(tmp_path)
    assert not re.findall(r"\b(?:src|href)=|url\(|@import|https?:|<(?:link|iframe|img)\b", text)


def test_names_are_text(tmp_path: Path) -> None:
    leave(
        tmp_path, "one", 0.96, views(10, 3), model=ModelReport(recipe=HOSTILE, frames=HOSTILE, epochs=1, device="cpu")
    )
    text = page(tmp_path)
    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in text


def test_without_any_score_it_says_so(tmp_path: Path) -> None:
    assert "No run has a test score." in page(tmp_path)
