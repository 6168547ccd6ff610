"""What MMAction2 1.2.0 and MMEngine 0.10.7 need to run on current torch; the only place where they are patched.

Neither project has had a release since (MMAction2: October 2023, MMEngine: March 2025). Each entry below is one
function that says what breaks, why, and where it was reported; ``apply`` runs them all, once. An entry goes away when
the release that carries its fix becomes the oldest one supported.
"""

from __future__ import annotations

import functools
import importlib
import pickle
import sys
import types
import warnings
from typing import Any

import numpy as np
import torch


@functools.cache
def apply() -> None:
    """Apply every entry. Idempotent; must run before ``mmaction.models`` is imported."""
    warnings.filterwarnings("ignore", message="Fail to import ``MultiScaleDeformableAttention``")
    _supply_missing_module()
    _leave_mmpretrain_alone()
    _leave_cuda_alone_on_cpu()
    _allow_bf16_on_cpu()
    _load_own_checkpoints()
    _write_checkpoints_beside_the_training()
    _score_with_tpns_present_classifier()


def _supply_missing_module() -> None:
    """``import mmaction.models`` fails: the wheel lacks ``mmaction/models/localizers/drn``.

    A temporal localizer, useless for recognition. open-mmlab/mmaction2#2714.
    """
    package, module = (
        types.ModuleType("mmaction.models.localizers.drn"),
        types.ModuleType("mmaction.models.localizers.drn.drn"),
    )
    package.__path__ = []
    module.DRN = type("DRN", (), {"__doc__": "Stands in for a localizer that the wheel lacks."})  # type: ignore[attr-defined]
    sys.modules.setdefault(package.__name__, package)
    sys.modules.setdefault(module.__name__, module)


def _leave_mmpretrain_alone() -> None:
    """``import mmaction.models`` imports mmpretrain where it is installed: a quarter of what a process takes to begin.

    Three of the zoo's backbones are there. ``mmpretrain.<name>`` imports it when such a model is built, and the config
    of MobileOneTSM names the module that has it.
    """
    if "mmpretrain" in sys.modules or "mmaction.models" in sys.modules:
        return
    sys.modules["mmpretrain"] = None  # type: ignore[assignment]  # import raises ImportError, which MMAction2 expects
    try:
        importlib.import_module("mmaction.models")
    finally:
        del sys.modules["mmpretrain"]


def _leave_cuda_alone_on_cpu() -> None:
    """MMEngine's ``pytorch`` launcher selects a CUDA device even for gloo, and torch raises where there is none.

    ``mmengine/dist/utils.py:_init_dist_pytorch`` calls ``torch.cuda.set_device`` unconditionally.
    """
    if not torch.cuda.is_available():
        torch.cuda.set_device = lambda device: None


def _allow_bf16_on_cpu() -> None:
    """``AmpOptimWrapper`` asserts that there is a GPU, though torch's autocast and MMEngine's own take bf16 on CPU.

    The gradient scaler it makes turns itself off without CUDA, which is right for bf16.
    """
    if torch.cuda.is_available():
        return
    from mmengine.optim.optimizer import amp_optimizer_wrapper

    amp_optimizer_wrapper.is_cuda_available = lambda: True
    amp_optimizer_wrapper.GradScaler = functools.partial(torch.amp.GradScaler, "cpu", enabled=False)


def _load_own_checkpoints() -> None:
    """torch >= 2.6 loads weights only, and refuses the history buffers in every checkpoint that MMEngine writes.

    Resuming, and testing a best checkpoint, then fail. What those checkpoints hold beside tensors is named here, so
    that ``weights_only`` stays on: plain containers, and a ``getattr`` that finds the four statistics of a history
    buffer and nothing else. open-mmlab/mmengine#1655, fixed on its main by #1670, unreleased.
    """
    from mmengine.logging.history_buffer import HistoryBuffer
    from numpy._core.multiarray import _reconstruct, scalar

    def statistic(owner: object, name: str) -> Any:
        if owner is not HistoryBuffer or name not in ("min", "max", "current", "mean"):
            raise pickle.UnpicklingError(f"a checkpoint asks for {name} of {owner}, which is not a statistic")
        return getattr(owner, name)

    numpy_functions = [
        (function, f"numpy.{core}.multiarray.{function.__name__}")
        for function in (_reconstruct, scalar)
        for core in ("core", "_core")  # numpy 1 and 2
    ]
    dtypes = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_)]
    torch.serialization.add_safe_globals(
        [HistoryBuffer, (statistic, "builtins.getattr"), np.ndarray, np.dtype, *numpy_functions, *dtypes]
    )


def _write_checkpoints_beside_the_training() -> None:
    """MMEngine writes checkpoints in the training's loop, and in place: a kill or a full disk leaves a torn one.

    ``mmengine/runner/checkpoint.py:save_checkpoint``, called by ``Runner.save_checkpoint``; see ``saving``.
    """
    from mmengine.runner import Runner, runner

    from .saving import WRITER

    stock = Runner.save_checkpoint

    @functools.wraps(stock)
    def save_checkpoint(self: Any, *args: Any, **kwargs: Any) -> None:
        with WRITER.counted():
            stock(self, *args, **kwargs)

    Runner.save_checkpoint = save_checkpoint
    runner.save_checkpoint = WRITER.save


def _score_with_tpns_present_classifier() -> None:
    """``TPNHead`` copies its classifier at the first validation, and scores with that copy ever after.

    ``mmaction/models/heads/tpn_head.py:TPNHead._init_new_cls``. Here the copy is made anew whenever the head is told to
    leave training (before each validation and test), so that later ones score what was trained since or loaded.
    """
    from mmaction.models.heads import TPNHead

    stock = TPNHead.train

    def train(self: Any, mode: bool = True) -> Any:
        self._modules.pop("new_cls", None)
        self.new_cls = None
        return stock(self, mode)

    TPNHead.train = train
