"""A rendered config is MMAction2's as much as ours: its own train.py runs it, with our runtime imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mmaction

from mmaction_operator import api
from mmaction_operator.render import render
from mmaction_trainer import data
from mmaction_trainer.contract.run import DataSource
from tests.run_folders import free_port

from .conftest import Machine

TRAIN = Path(mmaction.__file__).parent / ".mim" / "tools" / "train.py"


def test_mmaction2s_own_train_script_runs_a_rendered_config(machine: Machine) -> None:
    folder = machine.root / "stock"
    folder.mkdir()
    (folder / "config.py").write_text(render(api.read(machine.job())).text)
    source = DataSource(uri=str(machine.dataset), format="ucf101", num_classes=6)
    data.prepare(source, folder, data.Cache(machine.root / "cache"), lambda done, total, what: None)
    words = ["--nproc-per-node=2", "--master-addr=127.0.0.1", f"--master-port={free_port()}"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words, str(TRAIN), "config.py", "--launcher=pytorch"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "work" / "epoch_1.pth").exists()
    assert (folder / "metrics.jsonl").exists()
