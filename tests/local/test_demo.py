"""``trainjob demo``: what a run's test said of a video, said again of the file alone, and drawn on it."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest

from mmaction_trainer.contract.errors import ConfigFailure, DataFailure, Failure, StorageFailure
from mmaction_trainer.contract.result import Result
from mmaction_trainer.storage import open_storage, publish, read_manifest
from tests.run_folders import a_run

from .conftest import CLIPS, Machine
from .test_evaluation import SMALL


def shape(path: Path) -> tuple[int, int, int, float]:
    """Frames, width, height and frames a second of a video."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.average_rate
        return sum(1 for _ in file.decode(stream)), stream.width, stream.height, float(stream.average_rate)


def test_the_labels_are_those_of_the_runs_own_test_and_are_drawn_on_its_video(machine: Machine) -> None:
    code, output = machine.run("run", machine.job(**SMALL, evaluation={"clips": 10, "crops": 3}))
    assert code == 0, output
    (place,) = machine.results.glob("default/small/*")
    with (place / "test" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows[:2]:
        video = machine.dataset / "videos" / row["video"]
        code, output = machine.run("demo", place, video)
        assert code == 0, output
        told = [f"{row[f'top{number}']} {float(row[f'score{number}']):.4f}" for number in range(1, 6)]
        assert f"10x3 views: label score {' '.join(told)} by checkpoints/best" in output
        assert f"annotated: {video.stem}-demo.mp4" in output
        assert shape(machine.root / f"{video.stem}-demo.mp4") == shape(video)

    left_a_demo(place, machine.dataset, rows)
    knows_its_checkpoint(machine, place, machine.dataset / "videos" / rows[0]["video"])


def left_a_demo(place: Path, dataset: Path, rows: list[dict[str, str]]) -> None:
    """The run itself left a demo, under its manifest: a video that it recognises, if it does any."""
    shown = next((row for row in rows if row["top1"] == row["label"]), rows[0])
    assert shape(place / "demo.mp4") == shape(dataset / "videos" / shown["video"])
    assert "demo.mp4" in {entry.path for entry in read_manifest(open_storage(str(place))).objects}
    assert "<code>demo.mp4</code>" in (place / "report" / "index.html").read_text()


def knows_its_checkpoint(machine: Machine, place: Path, video: Path) -> None:
    """A program reads the same as JSON, and weights that the manifest does not vouch for score nothing."""
    copy = Path(shutil.copytree(place, machine.root / "copy"))
    out = machine.root / "elsewhere.mp4"
    code, output = machine.run("demo", copy, video, "--out", out, "-o", "json")
    assert code == 0, output
    told = json.loads(output)
    assert (told["job"], told["protocol"]["clips"], told["annotated"]) == ("default/small", 10, str(out))
    (checkpoint,) = copy.glob("checkpoints/best_*.pth")
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    out.unlink()
    code, output = machine.run("demo", copy, video, "--out", out)
    assert code == StorageFailure.exit_code, output
    assert f"{checkpoint.name} has sha256" in output
    assert not out.exists()


BEST = "checkpoints/best.pth"


def results(root: Path, *paths: str, checkpoint: str | None = BEST, media: str = "videos") -> Path:
    """Results of a job that ended well, with empty files at these paths."""
    folder, place = root / "files", root / "results" / "default" / "job-u" / "u"
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    run = a_run("u", port=1)
    run.model_copy(update={"data": run.data.model_copy(update={"media": media})}).write(folder / "run.json")
    result = Result(outcome="Succeeded", results_uri=str(place), port=1, world_size=1, checkpoint=checkpoint)
    publish(open_storage(str(place)), folder, (*paths, "run.json"), run.job, json.loads(result.to_json()))
    return place


WHOLE = ("config.py", "data/classes.txt", BEST)


@pytest.mark.parametrize(
    ("paths", "told", "failure", "said"),
    [
        (WHOLE[:2], {"checkpoint": None}, StorageFailure, "manifest.json: names no checkpoint that was tested"),
        (WHOLE[:2], {}, StorageFailure, "manifest.json: has no checkpoints/best.pth"),
        (WHOLE[1:], {}, StorageFailure, "manifest.json: has no config.py"),
        (WHOLE, {"media": "frames"}, ConfigFailure, "its model reads folders of frames"),
    ],
    ids=["nothing tested", "no checkpoint", "no config", "frames"],
)
def test_results_that_score_no_video_are_refused(
    paths: tuple[str, ...], told: dict[str, str], failure: type[Failure], said: str, machine: Machine
) -> None:
    code, output = machine.run("demo", results(machine.root, *paths, **told), CLIPS / "test.mp4")
    assert (code, said in output) == (failure.exit_code, True), output


def test_a_place_without_a_manifest_is_refused(machine: Machine) -> None:
    code, output = machine.run("demo", machine.root / "nothing", CLIPS / "test.mp4")
    assert code == StorageFailure.exit_code
    assert "manifest.json: no such object; accepted: results of a job that succeeded" in output


def test_a_video_that_is_none_is_found_before_the_model_is_loaded(machine: Machine) -> None:
    place = results(machine.root, *WHOLE)  # whose empty config would be found later
    (machine.root / "text.mp4").write_text("not a video")
    for video, said in (("text.mp4", "text.mp4: does not decode"), ("gone.mp4", "gone.mp4: no such file")):
        code, output = machine.run("demo", place, video)
        assert (code, said in output) == (DataFailure.exit_code, True), output


def test_an_output_that_cannot_be_written_or_is_the_video_is_refused(machine: Machine) -> None:
    place = results(machine.root, *WHOLE)
    video = Path(shutil.copy(CLIPS / "test.mp4", machine.root))
    for out, said in (("gone/x.mp4", "its folder has to be there"), ("./test.mp4", "is the video itself")):
        code, output = machine.run("demo", place, video, "--out", out)
        assert (code, said in output) == (2, True), output
    assert video.read_bytes() == (CLIPS / "test.mp4").read_bytes()


def test_a_failure_that_nobody_foresaw_shows_the_end_of_the_log(machine: Machine) -> None:
    place = results(machine.root, *WHOLE)  # an empty config makes no model
    code, output = machine.run("demo", place, CLIPS / "test.mp4")
    assert code == Failure.exit_code
    assert "Traceback" in output
    assert "Unknown: " in output


def test_a_python_without_the_trainer_is_told_what_to_install(tmp_path: Path) -> None:
    without = "import sys; sys.modules['torch'] = None; from mmaction_operator.cli import main; main()"
    words = [sys.executable, "-c", without, "demo", "./results", str(CLIPS / "test.mp4")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == ConfigFailure.exit_code
    assert "has not got torch" in done.stderr
    assert "mmaction-operator[trainer]" in done.stderr
