"""The page of benchmarks has all that is on record, what is slower as well."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.loading import RESULTS
from scripts import benchmarks


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What is on record, but that one loader is slower than MMAction2's."""
    shutil.copytree(RESULTS.parent, tmp_path / "results")
    record = json.loads(RESULTS.read_text())
    slower = record["videos"]["H.264, as Kinetics'"]["training, SlowFast 32x2"]
    slower |= {"oursToStock": 0.51, "lowest": 0.41, "highest": 0.61}
    (tmp_path / "results" / "loading.json").write_text(json.dumps(record))
    return tmp_path / "results"


def test_a_slower_loader_is_in_the_table_with_its_spread(results: Path) -> None:
    assert "| 0.51 | 0.41 | 0.61 |" in benchmarks.page(results)


def test_a_slower_loader_is_in_the_picture(results: Path) -> None:
    assert ">0.51</text>" in benchmarks.picture(results)


def test_every_loader_on_record_has_a_row_and_a_bar(results: Path) -> None:
    names = [name for name, _ in benchmarks.loaders(results)]
    page, picture = benchmarks.page(results), benchmarks.picture(results)
    assert len(names) == 12
    assert all(f"| {name} |" in page for name in names)
    assert picture.count("<rect") == len(names) + 1
