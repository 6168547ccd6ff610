"""The page, the Markdown and the JSON of a report say the same, and each in its own manner."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmaction_trainer.contract.result import Complexity, DataReport, Score
from mmaction_trainer.contract.run import Protocol
from mmaction_trainer.evaluate import Predictions, measure
from mmaction_trainer.report import Facts, markdown
from mmaction_trainer.report.charts import matrix
from mmaction_trainer.report.facts import classes_of, confusions_of

from .reported import HOSTILE, report

CLASSES, VIDEOS = ("brush_hair", "cart|wheel"), ("1.mp4", "2.mp4", "3.mp4", "4.mp4")
TOLD: dict[str, Any] = {
    "val": Score(protocol=Protocol(clips=1, crops=1), top1=0.5, top5=1.0, mean_class=0.25, epoch=1),
    "complexity": Complexity(parameters=33_790_000, flops_per_view=27_816_000_000, views=30),
    "data": DataReport(sha256="d" * 64, format="list", split=1, classes=2, videos={"train": 9, "test": 4}),
    "checkpoint": "checkpoints/best_acc_top1_epoch_1.pth",
    "checkpoint_sha256": "e" * 64,
}


def texts(folder: Path) -> dict[str, str]:
    """Page and Markdown as a reader has them: without tags, without escapes, white space as single spaces."""
    page = html.unescape(re.sub(r"<[^>]+>", " ", (folder / "index.html").read_text()))
    plain = re.sub(r"\\(?=[^\w\s])", "", (folder / "report.md").read_text()).replace("`", "")
    return {name: " ".join(text.split()) for name, text in (("page", page), ("markdown", plain))}


def test_every_number_is_the_same_in_all_three(tmp_path: Path) -> None:
    folder = report(tmp_path, CLASSES, VIDEOS, **TOLD)
    told = json.loads((folder / "report.json").read_text())
    (mistake,), (confusion,) = told["mistakes"], told["confusions"]
    percents = [told[stage][name] for stage in ("test", "val") for name in ("top1",)] + [told["test"]["meanClass"]]
    shares = [each[name] for each in told["classes"] for name in ("accuracy", "precision")]
    said = [f"{100 * value:.2f} %" for value in [*percents, told["calibration"]["confidence"]]]
    said += [f"{value:.3f}" for value in [*shares, told["calibration"]["error"]]]
    said += [f"({mistake['scoreOfLabel']:.2f})", f"({mistake['score']:.2f})", mistake["video"], mistake["label"]]
    said += [f"{told['complexity']['parameters'] / 1e6:.2f} M", f"{told['complexity']['flopsPerView'] / 1e9:.2f} G"]
    said += [confusion["label"], confusion["takenFor"], f"epoch {told['val']['epoch']} of {told['model']['epochs']}"]
    said += [told["provenance"][name] for name in ("checkpoint", "checkpointSha256", "configSha256", "resultsUri")]
    said += [*told["environment"]["versions"].values(), *told["reproduce"], told["provenance"]["data"]["sha256"]]
    for name, text in texts(folder).items():
        assert [each for each in said if each not in text] == [], name
    assert (told["test"]["top1"], told["test"]["videos"], told["val"]["top1"]) == (0.75, 4, 0.5)


def test_json_has_the_whole_of_it(tmp_path: Path) -> None:
    facts = Facts.read(report(tmp_path, CLASSES, VIDEOS, **TOLD) / "report.json")
    assert [(point.step, point.loss, point.top1, point.lr) for point in facts.training] == [
        (5, 1.5, 0.4, 0.1),
        (10, None, None, 0.01),
    ]
    assert [(each.epoch, each.top1, each.mean_class) for each in facts.validations] == [(1, 0.5, 0.5)]
    assert "Recognizer3D" in facts.config
    assert facts.provenance.data == TOLD["data"]
    assert set(facts.environment.versions) >= {"Python", "torch", "mmengine", "mmaction2"}


def test_classes_and_confusions_are_the_whole_matrix_the_most_frequent_first(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names, labels = tuple("abcdef"), random.integers(0, 6, 50)
    found = measure(
        Predictions(random.random((50, 6), np.float32), labels, tuple(f"{number}.mp4" for number in range(50)), names)
    )
    facts = Facts.read(report(tmp_path, names, tuple(f"{name}.mp4" for name in names)) / "report.json")
    facts = facts.model_copy(update={"classes": tuple(classes_of(found)), "confusions": tuple(confusions_of(found))})
    np.testing.assert_array_equal(matrix(facts), found.confusion)
    counts = [each.videos for each in facts.confusions]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) > 1


def test_what_a_run_has_not_got_is_absent(tmp_path: Path) -> None:
    folder = report(tmp_path, ("a", "b"), VIDEOS, lines="")
    told = json.loads((folder / "report.json").read_text())
    assert {"val", "complexity", "seconds"}.isdisjoint(told)
    assert told["training"] == told["validations"] == []
    for text in texts(folder).values():
        assert " val" not in text.replace("val chose", "")
        assert "parameters" not in text.replace("group of parameters", "")
        assert "None" not in text
    assert "Training" not in texts(folder)["page"]


def test_markdown_is_short_however_many_classes_there_are(tmp_path: Path) -> None:
    names = tuple(f"class {number}" for number in range(400))
    text = (report(tmp_path, names, tuple(f"{number}.mp4" for number in range(800)), **TOLD) / "report.md").read_text()
    assert len(text.splitlines()) < 100
    assert len(text) < 8000


def test_names_are_text_in_markdown(tmp_path: Path) -> None:
    name = f"{HOSTILE}|*x*_y_`z`[a](b)"
    text = (report(tmp_path, (name, "b"), (f"{name}.mp4", "2.mp4")) / "report.md").read_text()
    assert "<script" not in re.sub(r"`[^`].*?`", "", text).replace("\\<", "")
    (row,) = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 4, "three cells"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("brush_hair", "brush_hair"),
        ("_brush_", r"\_brush\_"),
        ("a|b", r"a\|b"),
        ("<b>", r"\<b\>"),
        ("two\nlines", "two lines"),
        ("`x`", r"\`x\`"),
    ],
)
def test_text_is_escaped_where_markdown_would_read_it(name: str, shown: str) -> None:
    assert markdown.text(name) == shown


@pytest.mark.parametrize(
    ("path", "shown"), [("a b.mp4", "`a b.mp4`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a|b", r"`a\|b`")]
)
def test_code_keeps_its_backticks(path: str, shown: str) -> None:
    assert markdown.code(path) == shown


def test_a_name_that_is_no_unicode_is_spelled_out(tmp_path: Path) -> None:
    folder = report(tmp_path, ("a\udce9", "b"), ("1\udce9.mp4", "2.mp4"))
    for name in ("index.html", "report.md", "report.json"):
        assert "udce9" in (folder / name).read_text()
