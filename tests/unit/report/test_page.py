"""The report of a job: one page that needs nothing but itself, and in which a name is never taken for HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from examples.demo import clips
from mmaction_trainer.contract.result import Complexity, DataReport, Score, Speed
from mmaction_trainer.contract.run import Protocol

from .reported import HOSTILE, report

CLIPS = Path(__file__).parents[2] / "data" / "clips"


def page(*told: Any, **more: Any) -> str:
    """The page of such a report."""
    return (report(*told, **more) / "index.html").read_text()


class Parsed(HTMLParser):
    """The tags of a page, and what they refer to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.unnamed: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self.tags.append(tag)
        self.references += [str(told[name]) for name in ("src", "href") if told.get(name)]
        if tag == "img" and not told.get("alt"):
            self.unnamed.append(tag)


def test_numbers_stand_beside_their_protocol(tmp_path: Path) -> None:
    val = Score(protocol=Protocol(clips=1, crops=1), top1=0.5, top5=1.0, epoch=1)
    speed = Speed(
        device="NVIDIA H100",
        precision="fp32",
        latency_ms=8.25,
        batch=8,
        views_per_second=410.3,
        peak_memory_bytes=2_500_000_000,
    )
    size = Complexity(parameters=33_790_000, flops_per_view=27_816_000_000, views=30, speed=speed)
    data = DataReport(sha256="d" * 64, format="list", split=1, classes=2, videos={"train": 9, "test": 4})
    text = page(tmp_path, ("a", "b"), ("1.mp4", "2.mp4", "3.mp4", "4.mp4"), val=val, complexity=size, data=data)
    text = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    for said in ("75.00 % test top-1, 10x3 views", "50.00 % val top-1, 1x1 views, epoch 1 of 2", "33.79 M parameters"):
        assert said in text
    assert "27.82 G FLOPs a view, 30 views a video: 834.48 G" in text
    assert "8.2 ms a view by itself, fp32 on NVIDIA H100" in text
    assert "410.3 views a second, 8 at once, in 2.50 GB of its memory" in text
    assert "d" * 64 in text


@pytest.mark.parametrize(("test", "said"), [("a.mp4 0", "by the same videos that test scores"), ("b.mp4 1", "worth")])
def test_it_says_whether_the_tested_videos_chose_the_checkpoint(tmp_path: Path, test: str, said: str) -> None:
    val = Score(protocol=Protocol(clips=1, crops=1), top1=0.5, top5=1.0, mean_class=0.5, videos=4, epoch=1)
    (tmp_path / "data").mkdir()
    for name, line in (("val", "a.mp4 0"), ("test", test)):
        (tmp_path / "data" / f"{name}.txt").write_text(f"{line}\n")
    text = " ".join(page(tmp_path, ("a", "b"), ("1.mp4", "2.mp4"), val=val).split())
    assert f"val chose the checkpoint, {'by' if said.startswith('by') else 'test is what it is'}" in text
    assert said in text


def test_a_run_that_trained_nothing_has_neither_curves_nor_a_learning_rate(tmp_path: Path) -> None:
    told = {"lines": "", "epochs": 0, "checkpoint": "s3://weights/mine.pth"}
    text = page(tmp_path, ("a", "b"), ("1.mp4", "2.mp4"), **told)
    assert len([tag for tag in Parsed(text).tags if tag == "svg"]) == 3
    for said in ("<h2>Training</h2>", "learning rate", "train.py", "val chose", "trains the same model"):
        assert said not in text
    assert "tools/test.py config.py s3://weights/mine.pth" in text


def test_it_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    clips.build(CLIPS, tmp_path / "data", train=1, test=1)
    video = next((tmp_path / "data" / "videos").rglob("*.avi")).relative_to(tmp_path / "data" / "videos")
    parsed = Parsed(page(tmp_path, ("a", "b"), (str(video), "gone.avi")))
    assert len([tag for tag in parsed.tags if tag == "svg"]) == 6
    assert "img" in parsed.tags
    assert all(reference.startswith(("data:image/", "#")) for reference in parsed.references)
    assert not {"script", "link", "iframe"} & set(parsed.tags)
    assert not parsed.unnamed


@pytest.mark.parametrize("count", [2, 12, 13, 101])
def test_names_are_text_however_many_there_are(tmp_path: Path, count: int) -> None:
    classes = tuple(f"{HOSTILE}{number}" for number in range(count))
    text = page(tmp_path, classes, tuple(f"{HOSTILE}{number}.mp4" for number in range(count)))
    assert "<script" not in text
    assert "&lt;script" in text
    assert "&lt;Recognizer3D&gt;" in text


def test_letters_and_lines_have_the_pages_colour(tmp_path: Path) -> None:
    text = page(tmp_path, ("a", "b"), ("1.mp4", "2.mp4"))
    assert "currentColor" in text
    assert "#010203" not in text
    assert "prefers-color-scheme: dark" in text
