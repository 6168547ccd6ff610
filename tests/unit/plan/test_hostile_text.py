"""Text of a job is data in all that is made of it: no command and no other field holds it, no config evaluates it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mmaction_operator.api import TrainJob, parse
from mmaction_operator.plan import Settings, objects_of
from mmaction_operator.render import Rendered, render
from mmaction_operator.render.plain import SUBSTITUTED
from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.run import CONFIG, RUN
from tests.drawn.hostile import CANARY, TEXTS, TRACE
from tests.drawn.lot import Path as Place
from tests.trainjob_cases import CASES, changed

SETTINGS = Settings(trainer_image="trainer:v1", progress_url="http://controller:8080")
SECRET = "a-secret-that-no-config-may-hold"
HARMLESS = next(case["set"] for case in CASES["accepted"] if case["name"] == "every field") | {
    "spec.pods.affinity": {"nodeAffinity": {"a": "b"}},
    "spec.pods.topologySpreadConstraints": [{"topologyKey": "rack"}],
    "spec.overrides": {"optim_wrapper": {"paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 2}}}}},
    "spec.trackers": ["wandb", "mlflow"],
    "metadata.uid": "0a1b-2c3d",
}
MAPS = ("nodeSelector", "labels", "annotations", "affinity", "nodeAffinity", "custom_keys")
"""Fields whose keys are an author's."""
TAKES_ANY = {"annotations", "affinity", "custom_keys", "value", "fieldPath", "uri", "videos"}
"""Fields that take most texts, so that something is seen of them."""
REFERENCES = {
    "configMapKeyRef": {"name": "settings", "key": "interface"},
    "fieldRef": {"fieldPath": "spec.nodeName"},
}


def a_manifest() -> dict[str, Any]:
    """A job that says something in every field."""
    manifest = changed(HARMLESS)
    manifest["spec"]["pods"]["env"] += [{"name": kind, "valueFrom": {kind: ref}} for kind, ref in REFERENCES.items()]
    return manifest


def texts_in(value: Any, path: Place = ()) -> Iterator[Place]:
    """Where a value has text of an author's; the path of a key ends in it, and in nothing."""
    if isinstance(value, str):
        yield path
    for key, below in value.items() if isinstance(value, dict) else ():
        if path and path[-1] in MAPS:
            yield (*path, key, "")
        yield from texts_in(below, (*path, key))
    for at, below in enumerate(value) if isinstance(value, list) else ():
        yield from texts_in(below, (*path, at))


def replaced(manifest: dict[str, Any], path: Place, text: str) -> dict[str, Any]:
    """A manifest with another text, or another key, at a place."""
    manifest = deepcopy(manifest)
    is_key = path[-1] == ""
    *parents, last = path[:-1] if is_key else path
    holder: Any = manifest
    for parent in parents:
        holder = holder[parent]
    if is_key:
        holder[text] = holder.pop(last)
    else:
        holder[last] = text
    return manifest


def made(job: TrainJob) -> tuple[Rendered, list[dict[str, Any]]]:
    """The config of a job, and the objects of its preflight and of its first attempt."""
    rendered = render(job)
    return rendered, [item for attempt in (0, 1) for item in objects_of(job, rendered, attempt, 20001, SETTINGS)]


PLACES = [path for path in texts_in(a_manifest()) if path[0] == "spec"]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_text_stays_what_it_is_and_where_it_was_put(path: Place) -> None:
    usual = set(leaves(made(parse(a_manifest()))[1]))
    commands = {(where, found) for where, found in usual if "command" in where}
    assert commands
    taken = 0
    for text in TEXTS:
        try:
            rendered, objects = made(parse(replaced(a_manifest(), path, text)))
        except ConfigFailure:
            continue
        taken += 1
        see_literals(rendered.text)
        other = [(where, found) for where, found in leaves(objects) if (where, found) not in usual]
        for where, found in other:
            if where[-1] == RUN:
                told = [value for _, value in leaves(json.loads(found))]
                assert "overrides" in path or any(text.rstrip("/") in str(value) for value in told)
            elif where[-1] != CONFIG:
                assert text in (found, *where), f"{found!r} is made of {text!r}"
        assert commands == {(where, found) for where, found in leaves(objects) if {"command", "args"} & set(where)}
    assert taken > len(TEXTS) / 2 or not TAKES_ANY & set(path)


def leaves(value: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All that a value holds, with the place."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from leaves(below, (*path, key))
    if not isinstance(value, dict | list):
        yield path, value


@cache
def see_literals(text: str) -> None:
    """See that a config assigns literals, calls of dict, and names that it has assigned itself."""
    own = {"dict"}
    for statement in ast.parse(text).body:
        assert isinstance(statement, ast.Assign)
        for node in ast.walk(statement.value):
            assert isinstance(node, ALLOWED), ast.dump(node)
            assert not isinstance(node, ast.Name) or node.id in own
            assert not isinstance(node, ast.Call) or (isinstance(node.func, ast.Name) and node.func.id == "dict")
        own.add(statement.targets[0].id)  # type: ignore[attr-defined]
    assert SUBSTITUTED not in text


ALLOWED = (ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.Call, ast.keyword, ast.Name, ast.Load)
ALLOWED += (ast.UnaryOp, ast.USub)


def test_mmengine_reads_every_text_back_and_evaluates_none(tmp_path: Path) -> None:
    texts = [text for text in TEXTS if SUBSTITUTED not in text]
    keys = {text: {"lr_mult": 0.5} for text in texts if not text.startswith("_")}
    overrides = {"optim_wrapper": {"paramwise_cfg": {"custom_keys": keys}}, "default_hooks.logger.out_suffix": texts}
    rendered = render(parse(changed({"spec.overrides": overrides})))
    see_literals(rendered.text)
    done = read_by_mmengine(rendered.text, tmp_path)
    read = json.loads(done.stdout)
    assert read["optim_wrapper"]["paramwise_cfg"]["custom_keys"] == keys
    assert read["default_hooks"]["logger"]["out_suffix"] == texts
    assert SECRET not in done.stdout + done.stderr
    assert not Path(TRACE).exists()
    assert [path.name for path in tmp_path.iterdir()] == [CONFIG]


def test_what_mmengine_does_substitute_is_seen_here(tmp_path: Path) -> None:
    """Or the test above would see nothing."""
    assert SECRET in read_by_mmengine(f'log_level = "{{{{${CANARY}:none}}}}"', tmp_path).stdout


def read_by_mmengine(config: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a process makes of a config that has a secret in its environment."""
    (folder / CONFIG).write_text(config, encoding="utf-8")
    environment = {CANARY: SECRET, "PATH": "/usr/bin:/bin"}
    words = [sys.executable, "-c", READ, CONFIG]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)


READ = """
import json, sys
from mmengine.config import Config
print(json.dumps(Config.fromfile(sys.argv[1]).to_dict()))
"""


@pytest.mark.parametrize("text", [text for text in TEXTS if SUBSTITUTED in text])
def test_what_mmengine_would_substitute_is_refused_wherever_it_would_reach_a_config(text: str) -> None:
    for overrides in ({"log_level": text}, {"default_hooks.logger.out_suffix": [text]}, {text: 1}):
        with pytest.raises(ConfigFailure, match="MMEngine would substitute"):
            render(parse(changed({"spec.overrides": overrides})))


@pytest.mark.parametrize("text", [f"s3://weights/{text}" for text in TEXTS if min(text) > " " and "\x7f" not in text])
def test_a_checkpoint_lies_in_its_own_folder_by_a_plain_name(text: str) -> None:
    try:
        rendered = render(parse(changed({"spec.model.pretrained": text})))
    except ConfigFailure:
        return
    assert rendered.weights
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", rendered.weights.name)
    assert rendered.config["load_from"] == f"pretrained/{rendered.weights.name}"
