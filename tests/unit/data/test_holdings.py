"""What formats see of a source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mmaction_trainer.data.holdings import Holdings

Build = Callable[[Mapping[str, str | bytes]], Holdings]


def test_a_folder_is_listed_once_however_often_asked(holdings: Build, folder: Path) -> None:
    held = holdings({"videos/walk/a.mp4": "video", "videos/b.mp4": ""})
    assert held.sizes("videos") == {"walk/a.mp4": 5, "b.mp4": 0}
    (folder / "videos/b.mp4").unlink()
    assert len(held.sizes("videos")) == 2


@pytest.mark.parametrize(
    ("asked", "sizes"),
    [
        pytest.param("", {"videos/a.mp4": 1, "videos256/a.mp4": 2}, id="the source itself"),
        pytest.param("videos", {"a.mp4": 1}, id="not another folder whose name begins so"),
        pytest.param("nothing", {}, id="a folder that is not there"),
    ],
)
def test_paths_count_from_the_folder_asked_for(holdings: Build, asked: str, sizes: Mapping[str, int]) -> None:
    assert holdings({"videos/a.mp4": "1", "videos256/a.mp4": "22"}).sizes(asked) == sizes


def test_a_long_folder_is_shown_in_part(holdings: Build) -> None:
    held = holdings({f"lists/{number:02}.txt": "text" for number in range(30)})
    assert held.glance("lists").endswith("lists/ holds " + ", ".join(f"{n:02}.txt" for n in range(10)) + ", ...")


def test_an_empty_source_is_called_that(holdings: Build) -> None:
    assert holdings({}).glance("lists").endswith("set/ holds nothing")
