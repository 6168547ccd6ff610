"""Some rounds of ``make chaos``: whatever is done to trainings, each is trained once, and nothing is left over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mmaction_trainer.storage import Storage
from tests.chaos.play import play, scene_in
from tests.cluster.clusters import Cluster

SEED, ROUNDS = 3223, 7
"""Its first rounds: the API server, storage, an eviction, a launcher, a node, a port, the leader."""


def test_disturbed_trainings_lose_and_double_nothing_share_no_port_and_leave_nothing(
    cluster: Cluster, images: dict[str, str], data: str, results: Callable[[str], Storage], tmp_path: Path
) -> None:
    with scene_in(cluster, images) as scene:
        journal = play(scene, data, seed=SEED, rounds=ROUNDS, log=tmp_path / "chaos.jsonl")
    assert not journal.problems, (tmp_path / "chaos.jsonl").read_text()
    assert journal.counts["jobs"]["Succeeded"] >= 1
    assert journal.counts["work"]["looks of the watch"] > ROUNDS
