"""What a rank says of what it does, from hook to hook, and that it answers whoever asks where it stands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mmaction_trainer.contract.heartbeat import FOLDER, OVER, SIZE, Beat, beat_of, path_of
from mmaction_trainer.launch import stacks
from mmaction_trainer.launch.stacks import Standing
from mmaction_trainer.runtime.heartbeat import Heart, HeartbeatHook


@pytest.fixture
def heart(tmp_path: Path) -> Heart:
    return Heart(path_of(tmp_path, 0))


def said(folder: Path) -> Beat:
    beat = beat_of(folder, 0)
    assert beat
    return beat


def test_a_step_is_measured_with_those_that_it_is_like_and_no_other(heart: Heart, tmp_path: Path) -> None:
    assert said(tmp_path) == Beat(pid=os.getpid(), place=1, doing="starting")
    heart.begin("waiting for a batch", like="training")
    assert said(tmp_path).slowest is None, "the first: nothing is known of it"
    time.sleep(0.05)
    heart.go_on("computing")
    heart.begin("saving")
    assert said(tmp_path).slowest is None
    time.sleep(0.2)
    heart.begin("waiting for a batch", like="training")
    slowest = said(tmp_path).slowest
    assert slowest
    assert 0.05 <= slowest < 0.2, "a whole step, and not the saving"
    heart.begin("waiting for a batch", like="validation")
    assert said(tmp_path).slowest is None
    heart.begin("waiting for a batch", like="training")
    assert said(tmp_path).slowest == slowest, "the slowest, not the last"


def test_what_one_rank_does_alone_takes_it_no_further(heart: Heart, tmp_path: Path) -> None:
    heart.begin("ending epoch 1")
    before = said(tmp_path)
    heart.begin("saving a checkpoint", alone=True)
    assert said(tmp_path).place == before.place
    heart.end()
    assert (said(tmp_path).place, said(tmp_path).doing) == (before.place + 1, OVER)


def test_a_file_that_is_being_written_or_not_there_says_nothing(tmp_path: Path) -> None:
    assert beat_of(tmp_path, 0) is None
    (tmp_path / FOLDER).mkdir()
    path_of(tmp_path, 0).write_bytes(b'{"pid": 1, "pla')
    assert beat_of(tmp_path, 0) is None


def test_a_long_word_after_a_short_one_and_back_is_read_whole(heart: Heart, tmp_path: Path) -> None:
    for word in ("a", "a" * 300, "b"):
        heart.begin(word)
        assert said(tmp_path).doing == word
        assert path_of(tmp_path, 0).stat().st_size == SIZE


def a_runner(epoch: int = 0) -> Any:
    loader = [None] * 3
    return SimpleNamespace(epoch=epoch, train_dataloader=loader, val_dataloader=loader, test_dataloader=loader)


def test_a_training_is_told_step_by_step_and_ranks_in_one_step_are_told_apart(heart: Heart, tmp_path: Path) -> None:
    hook, runner, model = HeartbeatHook(heart), a_runner(epoch=2), torch.nn.Linear(1, 1)
    steps: list[tuple[Callable[[], None], str]] = [
        (lambda: hook.before_train_epoch(runner), "waiting for the first batch of epoch 3"),
        (lambda: hook.before_train_iter(runner, 0), "computing iteration 1 of epoch 3"),
        (lambda: hook.after_forward(model), "exchanging the gradients of iteration 1 of epoch 3"),
        (lambda: hook.after_train_iter(runner, 0), "waiting for the batch of iteration 2 of epoch 3"),
        (lambda: hook.before_train_iter(runner, 2), "computing iteration 3 of epoch 3"),
        (lambda: hook.after_train_iter(runner, 2), "ending epoch 3"),
        (lambda: hook.before_val(runner), "waiting for the first batch of the validation"),
        (lambda: hook.before_val_iter(runner, 0), "computing batch 1 of the validation"),
        (lambda: hook.after_val_iter(runner, 0), "waiting for batch 2 of the validation"),
        (lambda: hook.after_val_iter(runner, 2), "scoring the validation"),
        (lambda: hook.after_train(runner), "loading the checkpoint that is tested"),
        (lambda: hook.before_test(runner), "waiting for the first batch of the test"),
        (lambda: hook.before_test_iter(runner, 0), "computing batch 1 of the test"),
        (lambda: hook.after_test_iter(runner, 0), "waiting for batch 2 of the test"),
        (lambda: hook.after_test_iter(runner, 2), "scoring the test"),
    ]
    for place, (step, doing) in enumerate(steps, start=2):
        step()
        assert (said(tmp_path).doing, said(tmp_path).place) == (doing, place)


def test_a_step_in_which_ranks_wait_for_one_that_saves_is_like_no_other(heart: Heart, tmp_path: Path) -> None:
    hook, runner = HeartbeatHook(heart), a_runner()
    for batch in (0, 1):
        hook.after_train_iter(runner, batch)
    assert said(tmp_path).slowest is not None
    hook.saving()
    assert said(tmp_path).doing == "saving a checkpoint"
    hook.after_train_iter(runner, 1)
    assert said(tmp_path).slowest is None
    hook.after_train_iter(runner, 1)
    assert said(tmp_path).slowest is not None


RANK = """
import multiprocessing, time
from mmaction_trainer.runtime import heartbeat
heart = heartbeat.start(0)
loader = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
loader.start()
heart.begin("waiting in native code")
loader.join()
"""


def test_a_rank_and_its_loader_answer_where_they_stand_and_a_stranger_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    rank = subprocess.Popen([sys.executable, "-c", RANK], cwd=tmp_path, start_new_session=True)
    try:
        while not ((beat := beat_of(tmp_path, 0)) and beat.doing != "starting"):
            assert rank.poll() is None
            time.sleep(0.1)
        found = stacks.collect(tmp_path, {0: rank.pid}, attempt=1)
        assert [standing.state for standing in found[0]] == ["S", "S"]
        assert "popen_fork.py" in found[0][0].frames[0]
        assert "process.py" in found[0][1].frames[0]
        log = (tmp_path / "logs/stacks-attempt-1-rank-0.log").read_text()
        assert log.count("most recent call first") == 2
        assert not stacks.answers(os.getpid())
        assert rank.poll() is None
    finally:
        os.killpg(rank.pid, 9)
        rank.wait()


OWN = 'Thread 0x1 (most recent call first):\n  File "x.py", line 1 in run\n\nThread 0x2 (most recent call first):\n'
IN_LOADER = '  File "/venv/lib/python3.11/site-packages/torch/utils/data/dataloader.py", line 3 in _get_data\n'
IN_FETCH = (
    '  File "a.py", line 7 in read\n  File "/v/site-packages/torch/utils/data/_utils/fetch.py", line 54 in fetch\n'
)


def test_frames_are_those_of_the_oldest_thread_without_what_torch_has_between_modules() -> None:
    between = '  File "/v/site-packages/torch/nn/modules/module.py", line 1798 in _call_impl\n'
    standing = Standing(1, "S", OWN + between + '  File "/v/site-packages/mmcv/cnn.py", line 2 in forward\n')
    assert standing.frames == ('File "mmcv/cnn.py", line 2 in forward',)


def test_a_rank_that_waits_for_its_loader_stands_where_that_one_does() -> None:
    waits, idle, works = (Standing(1, "S", OWN + frames) for frames in (IN_LOADER, "", IN_FETCH))
    assert stacks.innermost([waits, idle, works])[0] == 'File "a.py", line 7 in read'
    assert stacks.innermost([waits, idle]) == ('File "torch/utils/data/dataloader.py", line 3 in _get_data',)
    assert stacks.innermost([works, works])[0] == 'File "a.py", line 7 in read'
    assert stacks.innermost([]) == ()
