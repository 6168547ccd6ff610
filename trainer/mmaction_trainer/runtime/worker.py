"""One rank: what torchrun starts, in the run directory.

Proves its identity, trains as ``config.py`` says, tests the best checkpoint in the same world, and leaves a report
for the launcher if it fails. A run that trains nothing tests the weights that it was told of.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import torch

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.errors import DeviceFailure, Failure
from mmaction_trainer.contract.result import FailureReport
from mmaction_trainer.contract.run import Run

from . import arriving, complexity, heartbeat, identity
from .failures import as_config_failure, classify


def main() -> NoReturn:
    """Run this rank and exit with 0 or with the code of its failure."""
    # The launcher stops a training by a file, so that all ranks stop after the same iteration; see ``stop``.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rank = int(os.environ["RANK"])
    try:
        heart = heartbeat.start(rank)
        work(Run.read(Path(layout.RUN)), heart, rank=rank)
    except BaseException as error:
        if not isinstance(error, Failure):
            traceback.print_exc()
        failure = classify(error)
        print(f"rank {rank}: {failure}", file=sys.stderr, flush=True)
        leave_report(failure, rank)
        leave(failure.exit_code)  # a peer may be gone: tearing the process group down could wait for it
    heart.end()
    leave(0)


def leave(code: int) -> NoReturn:
    """End this rank and its loaders, at once.

    Everything is written by now. Python's own end takes C++ objects apart whose threads (of decord, of gloo) may still
    run, and then aborts, seldom: SIGABRT, "terminate called without an active exception".
    """
    for loader in multiprocessing.active_children():
        loader.terminate()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def work(run: Run, heart: heartbeat.Heart, *, rank: int) -> None:
    """Train, where the run does, and test."""
    world_size = int(os.environ["WORLD_SIZE"])
    store = identity.world_store()
    identity.prove(run.job, store, rank=rank, world_size=world_size)
    check_devices(run)

    from . import resuming, skipping, trackers
    from .stop import StopHook

    runner = build()
    runner.register_hook(StopHook(store))
    heartbeat.follow(runner, heart)
    if run.world.nodes > 1:
        collect_over_the_network(runner)
    with trackers.telling(runner.visualizer):
        if run.trains:
            if run.data.corrupt == "skip":
                skipping.skip(runner, run.data.max_skipped)
            resuming.resume(runner)
            runner.train()
            checkpoint = best_of(runner)
        else:
            checkpoint = whole(runner, published=run.starts_from_the_zoo)
        trackers.tell_test(runner, test(runner, checkpoint))
    torch.distributed.barrier()  # all have what they need of each other
    torch.distributed.destroy_process_group()
    if rank == 0:
        heart.begin("measuring the model")
        complexity.record(runner, run.test_protocol.clips * run.test_protocol.crops)  # no rank waits for it


def build() -> Any:
    """MMEngine's runner of the config, its model built.

    Raises:
        ConfigFailure: the config cannot be built.
    """
    from mmengine.config import Config
    from mmengine.runner import Runner

    with as_config_failure():
        return Runner.from_cfg(Config.fromfile(layout.CONFIG))


def collect_over_the_network(runner: Any) -> None:
    """Have ranks exchange their scores as tensors: MMEngine's default is a folder, which nodes do not share."""
    for loop in filter(None, (runner.val_loop, runner.test_loop)):
        for metric in loop.evaluator.metrics:
            metric.collect_device = "gpu"  # of the process group's device, so gloo's is the CPU


def best_of(runner: Any) -> str:
    """The best checkpoint of a training; the newest one where no validation chose."""
    torch.distributed.barrier()  # rank 0 may still be writing it
    known = runner.message_hub.runtime_info
    return str(known.get("best_ckpt") or known["last_ckpt"])


def whole(runner: Any, *, published: bool) -> str:
    """The checkpoint that is to be tested, seen to hold every weight of the model; see ``loading.check_whole``."""
    from .loading import check_whole

    checkpoint = str(runner.cfg.load_from)
    check_whole(getattr(runner.model, "module", runner.model), Path(checkpoint), published=published)
    return checkpoint


def test(runner: Any, checkpoint: str) -> dict[str, float]:
    """Score a checkpoint by the test protocol."""
    runner.logger.info(f"Testing {checkpoint}")
    if torch.distributed.get_rank() == 0 or Path(checkpoint).exists():
        runner.load_checkpoint(checkpoint, map_location="cpu")
    share_weights(runner.model)
    runner.test_loop.evaluator.metrics.append(kept_scores(runner))
    arriving.want(runner.rank, "test", runner.test_loop.dataloader.batch_sampler.sampler)
    scores: dict[str, float] = runner.test()
    return scores


def kept_scores(runner: Any) -> Any:
    """A metric that keeps every video's scores, collected in the way of those that the config has."""
    from .scores import KeptScores

    return KeptScores(collect_device=runner.test_loop.evaluator.metrics[0].collect_device)


def share_weights(model: torch.nn.Module) -> None:
    """Give every rank the weights of rank 0, which wrote the checkpoint: another node has not got that file."""
    for tensor in model.state_dict().values():
        torch.distributed.broadcast(tensor, src=0)


def check_devices(run: Run) -> None:
    """See that the GPUs are there.

    Raises:
        DeviceFailure: torch finds fewer than one for each process of this node.
    """
    if run.world.device == "cuda" and torch.cuda.device_count() < run.world.processes_per_node:
        raise DeviceFailure(
            "spec.resources.gpusPerNode",
            f"{run.world.processes_per_node} asked for, and torch finds {torch.cuda.device_count()}",
            do="Ask for fewer, or for 0 to train on CPU.",
        )


def leave_report(failure: Failure, rank: int) -> None:
    """Write this rank's failure where the launcher looks for it; earlier files are earlier failures."""
    folder = Path(layout.FAILURES)
    folder.mkdir(exist_ok=True)
    FailureReport.of(failure).write(folder / f"rank-{rank}.json")


if __name__ == "__main__":
    main()
