"""Names in lists: MMAction2 must read back what was meant, whatever a video is called."""

from __future__ import annotations

import posixpath
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmaction_trainer.data.naming import link_videos, listed_name

LETTERS = st.characters(codec="utf-8", exclude_characters="/\0")
NAMES = st.text(LETTERS, min_size=1).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(PATHS, st.integers(0, 400))
def test_a_line_splits_into_the_name_and_the_label(path: str, label: int) -> None:
    name = listed_name(path, extension=True)
    assert f"{name} {label}".strip().split(" ") == [name, str(label)]
    assert name.encode().decode().splitlines() == [name]


@given(PATHS)
def test_a_video_has_an_extension_so_that_none_is_appended(path: str) -> None:
    name = listed_name(path, extension=True)
    assert posixpath.splitext(name)[0] != name


@given(st.lists(PATHS, unique=True))
def test_no_two_videos_share_a_name(paths: list[str]) -> None:
    assert len({listed_name(path, extension=True) for path in paths}) == len(paths)


@pytest.mark.parametrize("name", ["走 " * 60, "x" * 200 + ".", "a b." + "文" * 80, "é" * 127])
def test_another_name_is_short_enough_for_a_file_system(name: str) -> None:
    assert len(name.encode()) <= 255
    assert len(listed_name(name, extension=True).split("/")[-1].encode()) <= 255


@given(PATHS)
def test_a_folder_of_frames_needs_no_extension(path: str) -> None:
    unsafe = any(character.isspace() for character in path)
    assert (listed_name(path, extension=False) == path) == (not unsafe)


@pytest.mark.parametrize("path", ["walk/v_walk_g01_c01.avi", "走る/動画.mp4", "a,b;c.webm", "a.b/c.d.mkv"])
def test_an_ordinary_name_stays(path: str) -> None:
    assert listed_name(path, extension=True) == path


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("sky diving/clip 1.mp4", "renamed/sky_diving/clip_1-2bbbf2c651d68400.mp4"),
        ("walk/clip", "renamed/walk/clip-61b93fde83e42d70.mp4"),
        ("walk/clip\udcff.avi", "renamed/walk/clip_-b82d77abdef8b9f7.avi"),
    ],
)
def test_another_name_is_stable_and_still_says_what_it_names(path: str, name: str) -> None:
    assert listed_name(path, extension=True) == name


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    for path in ("a.mp4", "b c.mp4", "frames/1.jpg", "frames/in side/1.jpg", "frames/inside/1.jpg"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


def test_a_folder_whose_names_all_stay_is_linked_as_it_is(videos: Path, tmp_path: Path) -> None:
    link = tmp_path / "data" / "videos"
    link_videos(link, videos, {"a.mp4": "a.mp4"})
    assert link.readlink() == videos


def test_every_video_answers_to_its_name_where_one_had_to_change(videos: Path, tmp_path: Path) -> None:
    link = tmp_path / "data" / "videos"
    link_videos(link, videos, {"a.mp4": "a.mp4", "b c.mp4": "b_c.mp4"})
    assert (link / "a.mp4").read_text() == "a.mp4"
    assert (link / "b_c.mp4").read_text() == "b c.mp4"


def test_links_of_an_earlier_time_go(videos: Path, tmp_path: Path) -> None:
    link = tmp_path / "data" / "videos"
    link_videos(link, videos, {"a.mp4": "old.mp4", "b c.mp4": "b_c.mp4"})
    link_videos(link, videos, {"b c.mp4": "b_c.mp4"})
    assert sorted(path.name for path in link.iterdir()) == ["b_c.mp4"]
    link_videos(link, videos, {"a.mp4": "a.mp4"})
    assert link.readlink() == videos


def test_no_link_is_made_in_the_videos_own_folder(videos: Path, tmp_path: Path) -> None:
    before = sorted(videos.rglob("*"))
    link = tmp_path / "data" / "videos"
    names = {"frames": "frames", "frames/inside": "frames/inside", "frames/in side": "renamed/in_side"}
    link_videos(link, videos, names)
    assert sorted(videos.rglob("*")) == before
    assert all((link / name / "1.jpg").read_text() == f"{path}/1.jpg" for path, name in names.items())
