"""The commands of the documentation, as a reader would type them: tests run them, each document's in their order.

A command stands in an indented block, in a document's text or below a point of a list. Code of other kinds (YAML,
Python, what a file looks like) is fenced, with its language.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
GENERATED = ("docs/reference/",)
FOUND = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/*.md", "charts/*/README.md")


def documents() -> list[str]:
    """Paths of what is written by hand, from the repository's root."""
    paths = {path.relative_to(ROOT).as_posix() for pattern in FOUND for path in ROOT.glob(pattern)}
    return sorted(path for path in paths if not path.startswith(GENERATED))


def commands(path: str) -> list[str]:
    """A document's commands: lines that end in a backslash joined, comments left out."""
    found = []
    for token in MarkdownIt().parse((ROOT / path).read_text(encoding="utf-8")):
        if token.type == "code_block":
            found += list(_commands_in(token.content))
    return found


def _commands_in(text: str) -> Iterator[str]:
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if command := re.sub(r"(^|\s+)# .*$", "", line).strip():
            yield command


def fences(path: str, language: str) -> list[str]:
    """A document's blocks of code in a language."""
    tokens = MarkdownIt().parse((ROOT / path).read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


CI = "it is what CI runs"
LEFT_OUT = {
    "make setup": "tests run in what it made",
    "make setup && source .venv/bin/activate": "tests run in what it made",
    "source .venv/bin/activate": "tests run in what it made",
    "make demo": CI,
    "make test": CI,
    ".venv/bin/pytest -q tests/unit/api tests/unit/render tests/api/test_crd.py": CI,
    "make docs": "make test runs it",
    "make chaos": "tests/e2e/test_chaos.py plays some rounds",
    'make chaos OPTIONS="--rounds 30 --seed 5 --log chaos-5.jsonl"': "tests/e2e/test_chaos.py plays some rounds",
    """jq -c 'select(.what == "PROBLEM" or .what == "summary")' chaos.jsonl""": "there is no log of make chaos",
    "make format check docs": "make test checks the same",
    "make generate": "tests/unit/api/test_generated.py runs what it does",
    "make chart": "tests/chart/test_chart.py runs what it does",
    "trainjob run examples/one-gpu.yaml": "it needs a GPU",
}
"""Commands that no test types, and why."""


@dataclass(frozen=True)
class Walk:
    """How tests take a document's commands.

    Attributes:
        where: ``machine`` needs nothing but the environment, ``cluster`` real nodes.
        instead: what is put otherwise: names that readers fill in, what has no end, what only GPUs could do.
    """

    where: Literal["machine", "cluster"]
    instead: Mapping[str, str] = field(default_factory=dict)


A_TEST_VIDEO = "$(ls actions/videos/*/*_test00.avi | head -1)"
"""Of the data set that tests put where readers have their own."""

BEST = "$(cd $S3_FOLDER; ls results/team-a/$NAMESPACE/slowfast-ucf101/*/checkpoints/best*)"
TEST_THE_BEST = f"""\
sed "s#CHECKPOINT#s3://{BEST}#" again.yaml > tested.yaml
trainjob submit tested.yaml --watch
trainjob leaderboard s3://results/team-a --output json > board.json"""
"""A test of the checkpoint that the reader's training has left, and then all runs, for programs."""

WALKS = {
    "docs/first-job.md": Walk(
        "machine", {"actions/UID": "actions/$(ls results/default/actions)", "actions/val/jump/d.mp4": A_TEST_VIDEO}
    ),
    "docs/extending.md": Walk("machine"),
    "charts/mmaction-operator/README.md": Walk("cluster", {"helm install": "helm install --dry-run"}),
    "docs/cluster.md": Walk(
        "cluster",
        {
            "REGISTRY/mmaction-operator": "${OPERATOR_IMAGE%:*}",
            "image.tag=TAG --set trainer": "image.tag=${OPERATOR_IMAGE##*:} --wait --set trainer",
            "REGISTRY/mmaction-trainer": "${TRAINER_IMAGE%:*}",
            "trainer.image.tag=TAG": "trainer.image.tag=${TRAINER_IMAGE##*:}",
            "AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL": "AWS_ENDPOINT_URL=$S3_IN_PODS",
            "trainjobs --watch": "trainjobs",
        },
    ),
    "README.md": Walk(
        "cluster",
        {
            "slowfast-ucf101/UID": "slowfast-ucf101/$(ls $S3_FOLDER/results/team-a/default/slowfast-ucf101)",
            "video.mp4": A_TEST_VIDEO,
            "make cluster": "true",  # CONTRIBUTING.md's is typed
        },
    ),
    "docs/guide.md": Walk(
        "cluster",
        {
            "submit examples/guide/i3d.yaml": "submit --dry-run examples/guide/i3d.yaml",
            "submit examples/guide/slowfast.yaml": "submit job.yaml --watch",
            "submit examples/guide/timesformer.yaml": "submit --dry-run examples/guide/timesformer.yaml",
            "submit examples/guide/uniformerv2.yaml": "submit --dry-run examples/guide/uniformerv2.yaml",
            "preflight examples/guide/slowfast.yaml": "preflight job.yaml",
            "trainjob submit examples/evaluate.yaml": TEST_THE_BEST,
            "ucf101/videos/Archery/v_Archery_g01_c01.avi": A_TEST_VIDEO,
        },
    ),
    "examples/README.md": Walk(
        "cluster", {"cp examples/s3-credentials.yaml": "cp keys.yaml", "trainjobs --watch": "trainjobs"}
    ),
    "docs/security.md": Walk("cluster", {"label namespace default": "label namespace $NAMESPACE"}),
    "docs/operations.md": Walk(
        "cluster",
        {
            "image.tag=TAG --set trainer": "image.tag=${OPERATOR_IMAGE##*:} --set trainer",
            "trainer.image.tag=TAG": "trainer.image.tag=${TRAINER_IMAGE##*:}",
        },
    ),
    "CONTRIBUTING.md": Walk("cluster"),
}
"""By document, in the order of a reader who has installed nothing yet."""


def script(path: str) -> str:
    """A document's commands as one script, which ends at the first that fails; each is printed before it runs."""
    lines = ["set -euo pipefail"]
    for command in commands(path):
        if command not in LEFT_OUT:
            for text, other in WALKS[path].instead.items():
                command = command.replace(text, other)
            lines += [f"echo {shlex.quote('$ ' + command)}", command]
    return "\n".join(lines)


def type_in(path: str, folder: Path, environment: Mapping[str, str], within: float = 300) -> str:
    """Type a document's commands into one shell; what it printed. A failure shows all of it."""
    shell = ["bash", "-c", script(path)]
    done = subprocess.run(
        shell, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=within
    )
    assert done.returncode == 0, f"{path}: exit code {done.returncode}\n{done.stdout}"
    return done.stdout
