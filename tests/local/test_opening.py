"""A test opens each video once, however many views and ranks there are."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mmaction_operator import api
from mmaction_operator.render import render
from mmaction_trainer import data
from mmaction_trainer.contract.run import DataSource
from tests.run_folders import free_port

from .conftest import Machine
from .test_evaluation import SMALL

TESTING = """
import hashlib, os
from pathlib import Path
from mmaction_trainer.runtime import video, worker

class Noting(video.Video):
    def __init__(self, path, threads):
        with Path(f"opened-{os.environ['RANK']}").open("a") as opened:
            opened.write(hashlib.sha256(Path(path).read_bytes()).hexdigest() + "\\n")
        super().__init__(path, threads)

video.Video = Noting
worker.build().test()
"""
"""What a rank runs: the test alone, noting the content of each video that is opened."""


def test_thirty_views_of_two_ranks_open_each_video_once(machine: Machine) -> None:
    folder = machine.root / "tested"
    folder.mkdir()
    job = machine.job(**SMALL, evaluation={"clips": 10, "crops": 3})
    (folder / "config.py").write_text(render(api.read(job)).text)
    (folder / "testing.py").write_text(TESTING)
    source = DataSource(uri=str(machine.dataset), format="ucf101", num_classes=6)
    data.prepare(source, folder, data.Cache(machine.root / "cache"), lambda done, total, what: None)
    words = ["--nproc-per-node=2", "--master-addr=127.0.0.1", f"--master-port={free_port()}", "testing.py"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    opened = [path.read_text().split() for path in sorted(folder.glob("opened-*"))]
    assert list(map(len, opened)) == [3, 3]
    assert Counter(content for rank in opened for content in rank) == Counter(content_of_tests(folder))


def content_of_tests(folder: Path) -> list[str]:
    """sha256 of each video of the test list."""
    videos = [line.split(" ")[0] for line in (folder / "data" / "test.txt").read_text().splitlines()]
    return [hashlib.sha256((folder / "data" / "videos" / video).read_bytes()).hexdigest() for video in videos]
