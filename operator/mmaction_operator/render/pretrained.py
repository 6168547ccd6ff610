"""Which weights a model starts from, and that it fetches none by itself.

MMAction2's backbones download weights when they are initialised, even where a checkpoint overwrites them at once, in
every process, and again on every resume. A training pod has no business on the internet, so each family's own loading
is switched off (``families.PARTS``), and the one checkpoint of the job is a file of the run directory.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urlsplit

from mmaction_trainer.contract.errors import ConfigFailure
from mmaction_trainer.contract.run import PRETRAINED, Weights

from ..zoo import ZooEntry
from . import families, tree
from .draft import Draft
from .tree import Config, dotted

FIELD = "spec.model.pretrained"
ACCEPTED = "zoo, none, or the URI of a checkpoint (s3://, http(s):// or a file)"
SCHEMES = ("s3", "http", "https", "file", "")
LONGEST_NAME = 200
LOADING = ("pretrained", "clip_pretrained", "weights", "checkpoint_path")


def choose(pretrained: str, entry: ZooEntry) -> Weights | None:
    """The checkpoint that ``spec.model.pretrained`` asks for; None for random weights.

    Raises:
        ConfigFailure: the zoo publishes none for this config, or the URI names no file.
    """
    if pretrained == "none":
        return None
    if pretrained != "zoo":
        return Weights(uri=pretrained, name=_file_name(pretrained))
    if entry.weights is None:
        raise ConfigFailure(
            FIELD,
            f"zoo, and MMAction2 publishes no weights for {entry.name}",
            accepted="none, or the URI of a checkpoint (s3://, http(s):// or a file)",
        )
    return Weights(uri=entry.weights.url, name=_file_name(entry.weights.url), sha256_prefix=entry.weights.sha256_prefix)


def apply(draft: Draft, weights: Weights | None) -> Draft:
    """Nothing loads by itself, and the chosen checkpoint is ``load_from``."""
    for place, part in families.parts(draft.get("model")).items():
        for key, value in part.unloaded.items():
            path = f"model.{place}.{key}"
            draft = draft.drop(path) if value is families.ABSENT else draft.put(path, value)
    return draft.put("load_from", posixpath.join(PRETRAINED, weights.name) if weights else None)


def check_fit(draft: Draft, entry: ZooEntry, classes: int) -> None:
    """See that the zoo's checkpoint is whole in the model that a job tests; of any other, the trainer sees to it.

    Raises:
        ConfigFailure: names the field that makes the model another one.
    """
    recipe = entry.config["model"]
    if classes != recipe["cls_head"]["num_classes"]:
        raise ConfigFailure(
            "spec.dataset.numClasses",
            f"found {classes}, and the zoo's checkpoint is tested",
            accepted=f"its {recipe['cls_head']['num_classes']} classes",
            do=f"To test one of your own, name it in {FIELD}.",
        )
    for place, part in families.parts(draft.get("model")).items():
        for key, words in part.sized_weights.items():
            if draft.get(f"model.{place}.{key}") != tree.get(recipe, f"{place}.{key}"):
                raise ConfigFailure(
                    "spec.input",
                    f"{words} of the zoo's checkpoint do not fit it",
                    accepted=f"the frames and the crop of {entry.name}",
                    do=f"To test a checkpoint that was trained on this input, name it in {FIELD}.",
                )


def downloads(config: Config) -> tuple[str, ...]:
    """Paths in the model that would make it load weights by itself."""
    found = []
    for path, value in tree.nodes(config["model"], ("model",)):
        loads = path[-1] in LOADING and value not in (None, False)
        initialised = isinstance(value, dict) and str(value.get("type")).endswith("Pretrained")
        if loads or initialised or (isinstance(value, str) and "://" in value):
            found.append(dotted(path))
    return tuple(found)


def _file_name(uri: str) -> str:
    """The last part of the URI's path, with nothing in it that a path or a config could trip over."""
    if uri.lower() in ("zoo", "none"):
        raise ConfigFailure(FIELD, f"found {uri!r}", accepted=ACCEPTED, do=f"Write {uri.lower()}.")
    try:
        scheme, _, path, _, _ = urlsplit(uri)
    except ValueError as error:
        raise ConfigFailure(FIELD, f"{uri!r} is not a URI: {error}", accepted=ACCEPTED) from None
    name = re.sub(r"[^A-Za-z0-9._-]", "_", posixpath.basename(path)).lstrip(".")[-LONGEST_NAME:]
    if scheme not in SCHEMES or not name:
        found = f"found {uri!r}, which names no file" if scheme in SCHEMES else f"found the scheme {scheme}://"
        raise ConfigFailure(FIELD, found, accepted=ACCEPTED)
    return name
