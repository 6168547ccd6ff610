"""The last lines of a rank: few, short, without noise, and without what nobody may read."""

from __future__ import annotations

from mmaction_trainer.contract.result import LONGEST_LINE, MOST_LINES
from mmaction_trainer.launch.last_lines import last, of_rank

PRINTED = """\
[default1]:2026/01/02 03:04:05 - mmengine - INFO - Epoch(train)  [1][20/30]  lr: 1.0000e-02  loss: 1.7796
[default0]:the other rank's
[default1]:Traceback (most recent call last):
[default1]:  File "worker.py", line 29, in main
[default1]:    work(run)
[default1]:    ^^^^^^^^^
[default1]:
[default1]:/venv/torch/x.py:1: UserWarning: lr_scheduler.step() before optimizer.step()
[default1]:  warnings.warn("lr_scheduler.step()")
[default1]:[rank1]:[W626 06:24:44.9 ProcessGroupNCCL.cpp:1538] Warning: destroy_process_group() was not called
[default1]:Exception raised from checkTimeout at ProcessGroupNCCL.cpp:635 (most recent call first):
[default1]:frame #3: c10d::ProcessGroupNCCL::ncclCommWatchdog() + 0x14d
[default1]:KeyError: 'nonsense'
[default1]:rank 1: KeyError: 'nonsense'. The log has the traceback.
W0102 03:04:05.1 31 torch/distributed/elastic/multiprocessing/api.py:900] Sending process 31 closing signal SIGTERM
"""


def test_a_ranks_last_lines_are_its_own_and_tell_something() -> None:
    assert last(of_rank(PRINTED, 1), {}) == (
        "Traceback (most recent call last):",
        '  File "worker.py", line 29, in main',
        "    work(run)",
        "KeyError: 'nonsense'",
    )


def test_they_are_few_and_short() -> None:
    lines = last([f"{number} " + "x" * 10_000 for number in range(100)], {})
    assert [line.split()[0] for line in lines] == [str(number) for number in range(100 - MOST_LINES, 100)]
    assert {len(line) for line in lines} == {LONGEST_LINE}
    assert all(line.endswith("…") for line in lines)


def test_what_the_environment_keeps_secret_is_hidden() -> None:
    environment = {
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "WANDB_API_KEY": "0123456789",
        "MLFLOW_TRACKING_PASSWORD": "wJalrXUtnFEMI-and-more",
        "HOME": "/home/trainer",
        "SOME_TOKEN": "a",
    }
    said = ("denied: wJalrXUtnFEMI", "with wJalrXUtnFEMI-and-more", "key=0123456789", "a file in /home/trainer")
    assert last(said, environment) == ("denied: ***", "with ***", "key=***", "a file in /home/trainer")


def test_a_user_in_a_url_is_hidden() -> None:
    (line,) = last(["POST https://me:swordfish@mlflow.example/api failed: user@example.org"], {})
    assert line == "POST https://***@mlflow.example/api failed: user@example.org"
