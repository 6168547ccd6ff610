"""Whose processes the kernel killed for memory: those of this container, not those of another on the same machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmaction_trainer.launch.memory import oom_kills

VMSTAT = {"proc/vmstat": "nr_free_pages 1\noom_kill 7\n"}
COUNTED = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.events": "oom 3\noom_kill 2\n"}, 2),
        (
            {
                "proc/self/cgroup": "0::/user.slice/one\n",
                "sys/fs/cgroup/user.slice/one/memory.events": "oom_kill 2\n",
                "sys/fs/cgroup/memory.events": "oom_kill 5\n",
            },
            2,
        ),
        ({"proc/self/cgroup": "4:memory:/kubepods/one\n0::/\n", "sys/fs/cgroup/memory/memory.oom_control": COUNTED}, 2),
        (
            {
                "proc/self/cgroup": "4:memory:/one\n0::/\n",
                "sys/fs/cgroup/memory/one/memory.oom_control": COUNTED,
                "sys/fs/cgroup/memory/memory.oom_control": "oom_kill 5\n",
            },
            2,
        ),
        ({"proc/self/cgroup": "0::/\n"}, 7),
        ({}, 7),
    ],
    ids=["container", "session", "container of version 1", "folder of version 1", "root", "no cgroups"],
)
def test_the_count_is_that_of_this_cgroup_and_else_the_machines(
    files: dict[str, str], kills: int, tmp_path: Path
) -> None:
    for name, content in {**VMSTAT, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert oom_kills(tmp_path) == kills


def test_where_the_kernel_does_not_say_nothing_is_known(tmp_path: Path) -> None:
    assert oom_kills(tmp_path) is None
