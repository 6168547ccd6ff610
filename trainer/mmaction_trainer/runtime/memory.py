"""How much memory a training process will hold, counted before it holds any.

A step on torch's meta device computes nothing and allocates nothing, but knows every tensor that autograd would keep
for the backward pass. With parameters, gradients and the optimizer's state that is most of what a GPU holds; not
counted are CUDA itself (about half a gigabyte), cuDNN's workspaces, and what the allocator leaves unused.
"""

from __future__ import annotations

import shutil
import subprocess
import traceback
from dataclasses import dataclass
from typing import Any

import torch

from mmaction_trainer.contract.checklist import Checklist
from mmaction_trainer.contract.run import Run

from .failures import last_line, of_the_config

STATES = {"SGD": 1, "Adam": 2, "AdamW": 2}
"""Tensors of a parameter's size that an optimizer keeps; SGD with momentum."""
COPIES = 3
"""Of each trained parameter: itself, its gradient, and DDP's bucket for that."""
MIXED = 0.5
"""Of what autograd keeps in fp32, in mixed precision: most of it has two bytes then."""
BATCH = 2
"""Videos of the step that is counted: batch normalisation refuses a single one."""


@dataclass(frozen=True)
class Estimate:
    """Bytes of one process that trains.

    Attributes:
        states: parameters, gradients and the optimizer's state.
        activations: what is kept of one video for the backward pass.
    """

    states: int
    activations: int

    def of_batch(self, videos: int) -> int:
        """All of it with so many videos."""
        return self.states + videos * self.activations


def look(config: Any, model: torch.nn.Module, run: Run, video: str, checklist: Checklist) -> None:
    """Make the check: say what a process will hold, and warn where that is more than this machine's GPUs have.

    A step that fails is a fault of the config: its parts do not fit each other. What only cannot be counted is none.
    """
    if not video:
        checklist.skip("memory", why="no video was decoded to count with")
        return
    try:
        found = estimate(config, model, inputs_of(config, model, video))
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, NotImplementedError) or "meta" in str(error):
            checklist.skip("memory", why=f"it cannot be counted for this model: {last_line(error)}")
        else:
            with checklist.check("memory") as notes:
                notes.failures.append(of_the_config("a training step fails", error))
        return
    with checklist.check("memory") as notes:
        videos = config.train_dataloader.batch_size
        whole = found.of_batch(videos)
        notes.said = (
            f"about {whole / 1e9:.1f} GB a process: {found.states / 1e9:.1f} of weights and optimizer, "
            f"{videos * found.activations / 1e9:.1f} of a batch of {videos}"
        )
        smallest = smallest_gpu() if run.world.device == "cuda" else None
        if smallest is not None and whole > smallest:
            notes.warnings.append(
                f"a process will hold about {whole / 1e9:.1f} GB, and a GPU of this machine has {smallest / 1e9:.1f}; "
                "lower training.batchSizePerGPU, or train in bf16"
            )


def inputs_of(config: Any, model: Any, video: str) -> torch.Tensor:
    """A video as the model gets it in training, (1, ...)."""
    from mmengine.dataset import Compose, pseudo_collate

    sample = {"filename": video, "label": 0, "start_index": 0, "modality": "RGB"}
    packed = Compose(config.train_pipeline)(sample)
    inputs: torch.Tensor = model.data_preprocessor(pseudo_collate([packed]), training=False)["inputs"]
    return inputs


def estimate(config: Any, model: Any, inputs: torch.Tensor) -> Estimate:
    """Count a training step; the model is on the meta device afterwards.

    Args:
        inputs: one video, (1, ...).
    """
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    fixed = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
    optimizer = config.optim_wrapper.optimizer
    states = STATES.get(optimizer.type, 2)
    if optimizer.type == "SGD" and not optimizer.get("momentum"):
        states = 0
    model.to("meta").train()
    kept = kept_for_backward(model, torch.empty((BATCH, *inputs.shape[1:]), device="meta")) // BATCH
    mixed = config.optim_wrapper.type == "AmpOptimWrapper"
    return Estimate(states=4 * (fixed + trained * (COPIES + states)), activations=int(kept * MIXED) if mixed else kept)


def kept_for_backward(model: Any, inputs: torch.Tensor) -> int:
    """Bytes of all tensors that autograd keeps in a forward pass, parameters aside, each storage once."""
    own = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    storages: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            storages[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        features, words = model.extract_feat(inputs)
        model.cls_head(features, **words)
    return sum(storage.nbytes() for storage in storages.values())


def smallest_gpu() -> int | None:
    """Bytes of the smallest GPU of this machine; None where there is none."""
    if not shutil.which("nvidia-smi"):
        return None
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    sizes = [int(line) << 20 for line in done.stdout.split() if line.isdecimal()]
    return min(sizes, default=None)
