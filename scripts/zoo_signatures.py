"""What every registered type accepts, as data: `signatures.json` of the zoo snapshot.

An override such as `model.backbone.frozen_stage` is a misspelling, and `model.backbone.frozen_stages` is not, although
neither stands in the config it changes. Only the class knows. So this module asks the classes, once, where MMAction2 is
installed; the operator side, where it is not, reads the answer.
"""

import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
import zoo_sections
from mmengine.registry import Registry
from zoo_kwargs import Accepted, accepted_by_class, accepted_by_function

# What the builder of a registry fills in itself, and what it takes out before it calls the class.
FILLED_IN = {
    "DATA_SAMPLERS": {"dataset"},
    "LOOPS": {"runner", "dataloader", "evaluator"},
    "MODEL_WRAPPERS": {"module"},
    "OPTIMIZERS": {"params"},
    "PARAM_SCHEDULERS": {"optimizer"},
    "FUNCTION": {"data_batch", "batch"},
    "FUNCTIONS": {"data_batch", "batch"},
}
TAKEN_OUT = {
    "HOOKS": {"priority"},
    "OPTIM_WRAPPERS": {"constructor", "paramwise_cfg"},
    "PARAM_SCHEDULERS": {"convert_to_iter_based"},
}
# Not configured by a `type` in a training config.
LEFT_OUT = {"INFERENCERS", "RUNNERS", "RUNNER_CONSTRUCTORS", "STRATEGIES"}
# Values of `type` that no registry knows: the class that uses them has its own table.
PRIVATE_NAMES = {
    "resnet3d": "mmaction.models.backbones.resnet3d_slowfast:ResNet3dPathway",
    "AvgConsensus": "mmaction.models.heads.base:AvgConsensus",
}
NORM_LAYERS = (torch.nn.modules.batchnorm._NormBase, torch.nn.GroupNorm, torch.nn.LayerNorm)
# Demanded by MMAction2 in a dict whose default is None, so that no signature shows it.
TUPLES_DEMANDED = {("top_k_accuracy", "topk")}


def collect(configs: dict[str, dict[str, Any]]) -> dict[str, object]:
    """Signatures of registered types and of sections without a type, and the fields that hold tuples."""
    register_everything()
    accepted = {**dict(registered_types()), **zoo_sections.pseudo_types()}
    for name, place in PRIVATE_NAMES.items():
        accepted[name] = accepted_by_class(locate(place))
    for name in {node["type"] for node, _ in typed_dicts(configs)} - accepted.keys():
        accepted[name] = Accepted({}, open=True)  # of a package that the zoo names and this machine need not have
    return {
        "types": {name: as_json(accepted[name]) for name in sorted(accepted)},
        "sections": {path: as_json(found) for path, found in sorted(zoo_sections.sections(accepted).items())},
        "tuple_fields": sorted(tuple_fields(configs, accepted)),
    }


def register_everything() -> None:
    """Import all of MMAction2. Its 1.2.0 wheel lacks the package `drn`, a localizer, which a stand-in replaces.

    Not through the trainer's runtime, which replaces it too: that registers types of this product in place of the stock
    ones, and the snapshot is of MMAction2.
    """
    stand_in = types.ModuleType("mmaction.models.localizers.drn.drn")
    vars(stand_in)["DRN"] = type("DRN", (), {})
    sys.modules.setdefault("mmaction.models.localizers.drn", types.ModuleType("mmaction.models.localizers.drn"))
    sys.modules.setdefault(stand_in.__name__, stand_in)
    importlib.import_module("mmaction.utils").register_all_modules(init_default_scope=False)


def registered_types() -> Iterator[tuple[str, Accepted]]:
    """Every registered type; where both have the name, MMAction2's comes last and stays, as in its default scope."""
    for scope in ("mmengine", "mmaction"):
        for kind, registry in sorted(vars(importlib.import_module(f"{scope}.registry")).items()):
            if isinstance(registry, Registry) and registry.scope == scope and kind not in LEFT_OUT:
                for name, registered in registry.module_dict.items():
                    if isinstance(registered, type) or kind.startswith("FUNCTION"):
                        yield name, accepted_in(kind, registered)


def accepted_in(kind: str, registered: type | Callable[..., Any]) -> Accepted:
    """Less what the builder of that registry fills in, and with what it takes out before."""
    found = accepted_by_class(registered) if isinstance(registered, type) else accepted_by_function(registered)
    defaults = {name: value for name, value in found.defaults.items() if name not in FILLED_IN.get(kind, ())}
    extra = set(TAKEN_OUT.get(kind, ()))
    if isinstance(registered, type) and issubclass(registered, NORM_LAYERS):
        extra |= {"requires_grad"}
    return Accepted({**defaults, **dict.fromkeys(sorted(extra), inspect.Parameter.empty)}, found.open)


def locate(place: str) -> type:
    module, name = place.split(":")
    found: type = getattr(importlib.import_module(module), name)
    return found


def as_json(accepted: Accepted) -> dict[str, object]:
    return {"params": sorted(accepted.defaults), "open": accepted.open}


def tuple_fields(configs: dict[str, dict[str, Any]], accepted: dict[str, Accepted]) -> set[tuple[str, str]]:
    """Fields that hold a tuple in some config, or by default; a field that the zoo fills with lists takes lists."""
    seen: dict[type, set[tuple[str, str]]] = {tuple: set(), list: set()}
    for node, owner in dicts(configs):
        for key, value in node.items():
            if type(value) in seen:
                seen[type(value)].add((owner, key))
    by_default = {
        (name, key)
        for name, found in accepted.items()
        for key, value in found.defaults.items()
        if isinstance(value, tuple)
    }
    return seen[tuple] | (by_default - seen[list]) | TUPLES_DEMANDED


def typed_dicts(tree: object) -> Iterator[tuple[dict[str, Any], str]]:
    for node, owner in dicts(tree):
        if isinstance(node.get("type"), str):
            yield node, owner


def dicts(tree: object, key: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Every dict with the name of what owns its keys: its `type`, or the key it stands under."""
    if isinstance(tree, dict):
        owner = tree.get("type")
        yield tree, owner if isinstance(owner, str) else key
        for name, value in tree.items():
            yield from dicts(value, str(name))
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from dicts(value, key)
