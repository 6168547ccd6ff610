"""Flattens MMAction2's recognition configs into the data that `mmaction_operator.zoo` reads.

    python scripts/zoo.py            write operator/mmaction_operator/zoo/snapshot/
    python scripts/zoo.py --check    write nothing; name the files that would change, and exit 1 if there are any

Needs MMAction2 and MMEngine; what it writes needs neither.
"""

import argparse
import json
import sys
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import zoo_metafile
import zoo_signatures
from mmengine.config import Config

from mmaction_operator.zoo.encoding import encode

SNAPSHOT = Path(__file__).parents[1] / "operator/mmaction_operator/zoo/snapshot"
CONFIGS = Path(str(distribution("mmaction2").locate_file("mmaction/.mim/configs")))
WIDTH = 120
LOADERS = ("train_dataloader", "test_dataloader")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="write nothing, exit 1 if a file is stale")
    check: bool = arguments.parse_args().check
    wanted = {name: text(document) + "\n" for name, document in snapshot().items()}
    present = {path.name: path.read_text() for path in SNAPSHOT.glob("*.json")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    if check:
        for name in stale:
            print(f"{SNAPSHOT / name} is stale: run `make zoo`", file=sys.stderr)
        return 1 if stale else 0
    SNAPSHOT.mkdir(exist_ok=True)
    for name in stale:
        if name in wanted:
            (SNAPSHOT / name).write_text(wanted[name])
        else:
            (SNAPSHOT / name).unlink()
    return 0


def snapshot() -> dict[str, dict[str, object]]:
    """The documents of the snapshot by file name."""
    paths = sorted((CONFIGS / "recognition").rglob("*.py"))
    configs = {path.stem: Config.fromfile(path).to_dict() for path in paths}
    assert len(configs) == len(paths), "two configs with one file name"
    rows = zoo_metafile.rows(CONFIGS / "recognition")
    assert rows.keys() <= configs.keys(), f"rows without a config: {sorted(rows.keys() - configs.keys())}"
    places = {path.stem: path.relative_to(CONFIGS) for path in paths}
    families = {name: place.parts[1] for name, place in places.items()}
    generated = {
        "by": "scripts/zoo.py; do not edit, run `make zoo`",
        "from": "the configs of MMAction2, Copyright (c) OpenMMLab, Apache License 2.0",
        "mmaction2": version("mmaction2"),
        "mmengine": version("mmengine"),
    }
    entries = {
        name: {
            "family": families[name],
            "path": places[name].as_posix(),
            **config_facts(configs[name]),
            **zoo_metafile.facts(rows.get(name)),
        }
        for name in sorted(configs)
    }
    with_torch = {**generated, "torch": version("torch").partition("+")[0]}
    documents: dict[str, dict[str, object]] = {
        "index.json": {"generated": generated, "entries": entries},
        "signatures.json": {"generated": with_torch, **zoo_signatures.collect(configs)},
    }
    for family in sorted(set(families.values())):
        members = {name: encode(configs[name]) for name in sorted(configs) if families[name] == family}
        documents[f"{family}.json"] = {"generated": generated, "configs": members}
    return documents


def config_facts(config: dict[str, Any]) -> dict[str, object]:
    """The part of an index entry that comes from the config."""
    loader: dict[str, Any] = next((config[name] for name in LOADERS if name in config), {"dataset": {}})
    return {
        "trainable": all(key in config for key in ("train_dataloader", "train_cfg", "optim_wrapper")),
        "modality": modality(config["model"], loader["dataset"]),
        "dataset_type": loader["dataset"].get("type"),
        "epochs": config.get("train_cfg", {}).get("max_epochs"),
    }


def modality(model: dict[str, Any], dataset: dict[str, Any]) -> str:
    """What the model sees: `omni` is images and videos in one training. Datasets are RGB unless they say otherwise."""
    if model["type"] == "RecognizerOmni":
        return "omni"
    while "datasets" in dataset:
        dataset = dataset["datasets"][0]
    declared = str(dataset.get("modality", "RGB")).lower()
    assert (declared == "rgb") == (len(model["data_preprocessor"]["mean"]) == 3), "the model sees other channels"
    return declared


def text(value: object, indent: int = 0) -> str:
    """JSON with everything that fits on a line on one line, so that a diff shows one transform a line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(line) + indent <= WIDTH - 40:
        return line
    margin = "\n" + " " * (indent + 1)
    if isinstance(value, dict):
        items = [f"{json.dumps(key, ensure_ascii=False)}: {text(value[key], indent + 1)}" for key in value]
        return "{" + margin + f",{margin}".join(items) + margin[:-1] + "}"
    return "[" + margin + f",{margin}".join(text(item, indent + 1) for item in value) + margin[:-1] + "]"


if __name__ == "__main__":
    sys.exit(main())
