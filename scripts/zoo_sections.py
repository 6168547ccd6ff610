"""What the sections of a config accept that carry no `type`: read in MMEngine's `Runner` and MMAction2's models.

A section has no class to ask as a whole. Where one of its parts has a class or a function behind it, that is asked, so
that a new release of torch or MMEngine changes the answer by itself; the rest are the keys that the code looks up.
"""

import importlib
import inspect

import torch
from mmengine.dist import init_dist
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from zoo_kwargs import Accepted, accepted_by_class, accepted_by_function

# `Runner` looks these up in the config beside its own arguments; the test pipeline is looked up by inference.
TOP_LEVEL = {
    "activation_checkpointing", "compile", "custom_imports", "efficient_conv_bn_eval", "find_unused_parameters",
    "model_wrapper_cfg", "sync_bn", "test_pipeline", "tta_model", "tta_pipeline", "vis_backends",
}  # fmt: skip
BUILD_DATALOADER = {
    "batch_sampler", "collate_fn", "dataset", "disable_subprocess_warning", "num_batch_per_epoch", "sampler",
    "worker_init_fn",
}  # fmt: skip
# A sampler is always given, which excludes `shuffle`; a generator cannot be written as data.
NOT_FOR_DATALOADER = ("shuffle", "generator")
DEFAULT_CONSTRUCTOR = {
    "bias_decay_mult", "bias_lr_mult", "bypass_duplicate", "custom_keys", "dcn_offset_lr_mult", "dwconv_decay_mult",
    "flat_decay_mult", "norm_decay_mult",
}  # fmt: skip
LAYER_DECAY = {"decay_rate", "decay_type", "num_layers"}
MULTIPLIERS = {"lr_mult", "decay_mult"}
DEFAULT_HOOKS = {
    "checkpoint", "logger", "param_scheduler", "runtime_info", "sampler_seed", "sync_buffers", "timer", "visualization",
}  # fmt: skip


def pseudo_types() -> dict[str, Accepted]:
    """Names for sections that no registry names, so that they can be asked for like a type."""
    loader = without(accepted_by_class(torch.utils.data.DataLoader), *NOT_FOR_DATALOADER)
    return {
        "DataLoader": merged([loader], BUILD_DATALOADER),
        "env_cfg": keys({"cudnn_benchmark", "dist_cfg", "mp_cfg", "resource_limit"}),
        "default_hooks": keys(DEFAULT_HOOKS),
        "randomness": accepted_by_function(Runner.set_randomness, "self"),
        "auto_scale_lr": keys({"base_batch_size", "enable"}),
    }


def sections(types: dict[str, Accepted]) -> dict[str, Accepted]:
    """By path pattern: `*` is any one key, a leading `**` any number of them. `types` has the pseudo-types too."""
    return {**runner_sections(types), **optimizer_sections(types), **model_sections()}


def runner_sections(types: dict[str, Accepted]) -> dict[str, Accepted]:
    return {
        "": merged([without(accepted_by_class(Runner), "cfg")], TOP_LEVEL),
        **{f"{split}_dataloader": types["DataLoader"] for split in ("train", "val", "test")},
        **{name: types[name] for name in ("env_cfg", "default_hooks", "randomness", "auto_scale_lr")},
        "train_cfg": merged([types["EpochBasedTrainLoop"], types["IterBasedTrainLoop"]], {"by_epoch"}),
        "train_cfg.other_loaders.*": types["DataLoader"],
        "val_cfg": types["ValLoop"],
        "test_cfg": types["TestLoop"],
        "val_evaluator": keys({"metrics"}),
        "test_evaluator": keys({"metrics"}),
        "log_processor": types["LogProcessor"],
        "model_wrapper_cfg": types["MMDistributedDataParallel"],
        "compile": accepted_by_function(torch.compile, "model"),
        "env_cfg.mp_cfg": accepted_by_function(set_multi_processing, "distributed"),
        "env_cfg.dist_cfg": accepted_by_function(init_dist, "launcher"),
        "**.data_prefix": keys({"audio", "img", "video"}),
        "**.metric_options": keys({"top_k_accuracy"}),
        "**.metric_options.top_k_accuracy": keys({"topk"}),
        "**.backend_args": anything(),
        "**.file_client_args": anything(),
        "**.flip_label_map": anything(),
        "**.metainfo": anything(),
    }


def optimizer_sections(types: dict[str, Accepted]) -> dict[str, Accepted]:
    clip_by_norm = accepted_by_function(torch.nn.utils.clip_grad_norm_, "parameters")
    clip_by_value = accepted_by_function(torch.nn.utils.clip_grad_value_, "parameters")
    per_layer = DEFAULT_CONSTRUCTOR | LAYER_DECAY | {"fc_lr5"}
    return {
        "optim_wrapper": types["OptimWrapper"],
        "optim_wrapper.clip_grad": merged([clip_by_norm, clip_by_value], {"type"}),
        "optim_wrapper.loss_scale": without(accepted_by_class(torch.amp.GradScaler), "device"),
        # The Swin constructor takes parts of parameter names as keys, so that nothing can be ruled out.
        "optim_wrapper.paramwise_cfg": merged([anything()], per_layer),
        "optim_wrapper.paramwise_cfg.*": keys(MULTIPLIERS),
        "optim_wrapper.paramwise_cfg.custom_keys": anything(),
        "optim_wrapper.paramwise_cfg.custom_keys.*": keys(MULTIPLIERS),
    }


def model_sections() -> dict[str, Accepted]:
    tpn = importlib.import_module("mmaction.models.necks.tpn")
    non_local = accepted_by_class(importlib.import_module("mmcv.cnn").NonLocal3d)
    neck = {
        "aux_head_cfg": without(accepted_by_class(tpn.AuxHead), "in_channels"),
        "downsample_cfg": without(accepted_by_class(tpn.DownSample), "in_channels", "out_channels"),
        "level_fusion_cfg": accepted_by_class(tpn.LevelFusion),
        "spatial_modulation_cfg": accepted_by_class(tpn.SpatialModulation),
        "temporal_modulation_cfg": keys({"downsample_scales"}),
        "upsample_cfg": accepted_by_class(torch.nn.Upsample),
    }
    return {
        "model.train_cfg": keys(set()),  # stored by the recognizer and read by nothing
        "model.test_cfg": keys({"fcn_test", "max_testing_views", "num_segs"}),
        "**.non_local_cfg": without(non_local, "in_channels"),
        **{f"model.neck.{name}": accepted for name, accepted in neck.items()},
    }


def keys(names: set[str]) -> Accepted:
    return Accepted(dict.fromkeys(sorted(names), inspect.Parameter.empty), open=False)


def anything() -> Accepted:
    return Accepted({}, open=True)


def without(accepted: Accepted, *names: str) -> Accepted:
    kept = {name: default for name, default in accepted.defaults.items() if name not in names}
    return Accepted(kept, accepted.open)


def merged(parts: list[Accepted], names: set[str]) -> Accepted:
    defaults = keys(names).defaults
    for part in parts:
        defaults |= part.defaults
    return Accepted(defaults, any(part.open for part in parts))
