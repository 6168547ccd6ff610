"""The report of a job: one page that needs nothing but itself, and in which a name is never taken for HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.demo import clips
from mmaction_trainer.contract.result import Complexity, DataReport, Result, Score
from mmaction_trainer.contract.run import DataSource, JobIdentity, Protocol, Rendezvous, Run, World
from mmaction_trainer.evaluate import Predictions, measure
from mmaction_trainer.report import write

CLIPS = Path(__file__).parents[2] / "data" / "clips"
HOSTILE = "</title><script>alert(1)</script>"
PROTOCOL = Protocol(clips=10, crops=3)
LINES = """\
{"stage": "start", "worldSize": 2, "epochs": 2}
{"stage": "train", "epoch": 1, "iteration": 5, "step": 5, "loss": 1.5, "lr": 0.1, "top1": 0.4}
{"stage": "val", "epoch": 1, "top1": 0.5, "top5": 1.0, "meanClass": 0.5}
{"stage": "train", "epoch": 2, "iteration": 5, "step": 10, "lr": 0.01}
"""


def report(folder: Path, classes: tuple[str, ...], videos: tuple[str, ...], **told: Any) -> str:
    """The page of a job whose first video is taken for the second class, and all others for what they are."""
    labels = np.arange(len(videos)) % len(classes)
    scores = np.full((len(videos), len(classes)), 0.1, np.float32)
    scores[np.arange(len(videos)), labels] = 0.8
    scores[0] = scores[0][::-1]
    found = measure(Predictions(scores, labels, videos, classes))
    (folder / "metrics.jsonl").write_text(LINES)
    (folder / "config.py").write_text("model = dict(type='<Recognizer3D>')\n")
    run = Run(
        job=JobIdentity(namespace="team-a", name="small", uid="uid-1"),
        world=World(),
        rendezvous=Rendezvous(port=1),
        data=DataSource(uri="s3://data", format="list", num_classes=len(classes)),
        results_uri="s3://results",
        model="slowfast",
        config_sha256="c" * 64,
        epochs=2,
        effective_lr=0.1,
        val_protocol=Protocol(clips=1, crops=1),
        test_protocol=PROTOCOL,
    )
    result = Result(outcome="Succeeded", results_uri="s3://results", port=1, world_size=2, **told)
    write(folder / "report", folder, run, result, found)
    return (folder / "report" / "index.html").read_text()


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
    size = Complexity(parameters=33_790_000, flops_per_view=27_816_000_000, views=30)
    data = DataReport(sha256="d" * 64, format="list", split=1, classes=2, videos={"train": 9, "test": 4})
    page = report(tmp_path, ("a", "b"), ("1.mp4", "2.mp4", "3.mp4", "4.mp4"), val=val, complexity=size, data=data)
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for said in ("75.00 % test top-1, 10x3 views", "50.00 % val top-1, 1x1 views, epoch 1 of 2", "33.79 M parameters"):
        assert said in text
    assert "27.82 G FLOPs a view, 30 views a video" in text
    assert "d" * 64 in text


def test_it_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    clips.build(CLIPS, tmp_path / "data", train=1, test=1)
    video = next((tmp_path / "data" / "videos").rglob("*.avi")).relative_to(tmp_path / "data" / "videos")
    parsed = Parsed(report(tmp_path, ("a", "b"), (str(video), "gone.avi")))
    assert len([tag for tag in parsed.tags if tag == "svg"]) == 4
    assert "img" in parsed.tags
    assert all(reference.startswith(("data:image/", "#")) for reference in parsed.references)
    assert not {"script", "link", "iframe"} & set(parsed.tags)
    assert not parsed.unnamed


@pytest.mark.parametrize("count", [2, 12, 13, 101])
def test_names_are_text_however_many_there_are(tmp_path: Path, count: int) -> None:
    classes = tuple(f"{HOSTILE}{number}" for number in range(count))
    page = report(tmp_path, classes, tuple(f"{HOSTILE}{number}.mp4" for number in range(count)))
    assert "<script" not in page
    assert "&lt;script" in page
    assert "&lt;Recognizer3D&gt;" in page


def test_letters_and_lines_have_the_pages_colour(tmp_path: Path) -> None:
    page = report(tmp_path, ("a", "b"), ("1.mp4", "2.mp4"))
    assert "currentColor" in page
    assert "#010203" not in page
    assert "prefers-color-scheme: dark" in page
