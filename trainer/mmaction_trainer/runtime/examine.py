"""What can be known of a model before it trains: that it builds, that its weights fit, its rate, and what it holds.

``python -m mmaction_trainer.runtime.examine`` in a run directory. It builds the model on CPU while its parent looks at
the data, then reads one line of JSON: a video that decodes, and whether the checkpoint is there. It leaves a
``Preflight`` of three checks.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mmaction_trainer.contract import run as layout
from mmaction_trainer.contract.checklist import Checklist
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.run import Run

from . import loading, memory
from .failures import as_config_failure

BACKBONE = "backbone."
LEAST = 0.5
"""Share of a backbone's weights that a checkpoint of its network has at least."""
AFTER_THE_MODEL = ("learning rate", "memory")


def main() -> None:
    """Examine the model of the run directory."""
    run = Run.read(Path(layout.RUN))
    checklist = Checklist()
    model: Any = None
    with checklist.check("model") as notes:
        with as_config_failure():
            config, model = build()
        parameters = sum(parameter.numel() for parameter in model.parameters())
        notes.said = f"{type(model.backbone).__name__}, {parameters / 1e6:.2f} M parameters"
        told = json.loads(sys.stdin.readline())
        if told["weights"]:
            path = Path(config.load_from)
            if run.trains:
                notes.warnings += fits(model, path)
            else:
                loading.check_whole(model, path, published=run.starts_from_the_zoo)
            notes.said += f"; {path.name} fits it"
    if model is None:
        checklist.skip(*AFTER_THE_MODEL, why="the model cannot be built")
    elif not run.trains:
        checklist.skip(*AFTER_THE_MODEL, why="nothing is trained")
    else:
        with checklist.check("learning rate") as notes:
            notes.said = rates(config, model, run)
        memory.look(config, model, run, told["video"], checklist)
    checklist.report.write(Path(layout.EXAMINED))


def build() -> tuple[Any, Any]:
    """The config and its model on CPU, with random weights."""
    from mmaction.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    config = Config.fromfile(layout.CONFIG)
    init_default_scope("mmaction")
    return config, MODELS.build(config.model)


def fits(model: torch.nn.Module, path: Path) -> Iterator[str]:
    """See that a checkpoint to train on from is of this network, and warn of what of the backbone it leaves to chance.

    A head of other classes is what fine-tuning is for: it may differ.

    Raises:
        ConfigFailure: it is of another network.
    """
    held = loading.shapes(loading.read(path))
    wanted = loading.shapes(model.state_dict())
    found = loading.compare(wanted, held, loading.computed_by(model))
    backbone = {name: math.prod(shape) for name, shape in wanted.items() if name.startswith(BACKBONE)}
    loaded = sum(backbone.get(name, 0) for name in found.matched) / sum(backbone.values())
    if loaded < LEAST:
        raise loading.refusal(found, path.name, whole=False)
    left = [name for name in (*found.missing, *found.reshaped) if name in backbone]
    if left:
        yield f"{len(left)} of {len(backbone)} weights of the backbone are not in {path.name}, such as {left[0]}"


def rates(config: Any, model: torch.nn.Module, run: Run) -> str:
    """The learning rates of an optimizer that is really built.

    Raises:
        ConfigFailure: it steps with another rate than the job shows.
    """
    from mmengine.optim import build_optim_wrapper

    with as_config_failure():
        optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    if optimizer.defaults["lr"] != run.effective_lr:
        raise ConfigFailure(
            layout.CONFIG,
            f"{type(optimizer).__name__} steps with {optimizer.defaults['lr']:g}",
            accepted=f"{run.effective_lr:g}",
        )
    batch = config.train_dataloader.batch_size * run.world.size
    lowest, highest = (pick(group["lr"] for group in optimizer.param_groups) for pick in (min, max))
    groups = "" if lowest == highest else f", {lowest:g} to {highest:g} by group of parameters"
    return f"{run.effective_lr:g} of {type(optimizer).__name__} for a batch of {batch}{groups}"


if __name__ == "__main__":
    main()
