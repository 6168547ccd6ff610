"""Ranks on nodes that have not got the checkpoint score with the weights of the one that wrote it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
import torch.distributed as dist

from mmaction_trainer.runtime.worker import share_weights


def a_rank(store: str, rank: int) -> list[float]:
    """The weights and statistics that a rank ends with; it begins with its own number in each."""
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    for tensor in model.state_dict().values():
        tensor.fill_(rank)
    share_weights(model)
    held = [float(tensor.float().mean()) for tensor in model.state_dict().values()]
    dist.destroy_process_group()
    return held


def test_every_rank_has_the_first_ones_weights_and_statistics(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as ranks:
        held = ranks.starmap(a_rank, [(str(tmp_path / "store"), rank) for rank in range(2)], chunksize=1)
    assert held[0] == held[1]
    assert set(held[1]) == {0.0}
