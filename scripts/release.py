"""Builds everything that a release consists of into dist/VERSION: what users install, what it is made of, checksums.

python -m scripts.release                         wheel, chart, images, bills of materials

    mmaction_operator-VERSION-py3-none-any.whl    the command line, and with its extras the rest
    mmaction-operator-VERSION.tgz                 the chart
    mmaction-{operator,trainer}-VERSION.tar       the images, for `docker load` or `skopeo copy oci-archive:...`
    {operator,trainer}.cdx.json                   the Python packages of each image, with their hashes (CycloneDX)
    SHA256SUMS                                    of all of these, written last

The folder is whole or not there. Only what is committed is released.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from scripts import images
from scripts.images import ROOT, Builder, Refused

CHART = ROOT / "charts" / "mmaction-operator"
SUMS = "SHA256SUMS"


def version() -> str:
    """The version that is released.

    Raises:
        Refused: Python package and chart are not of one version.
    """
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    for name in ("version", "appVersion"):
        if chart[name] != package:
            raise Refused(f"{CHART.name}/Chart.yaml: {name} is {chart[name]}, the version in pyproject.toml {package}")
    return str(package)


def refuse_changes() -> None:
    """Nothing that is released differs from what is committed.

    Raises:
        Refused: it does.
    """
    if changed := run(["git", "status", "--porcelain"]).strip():
        raise Refused(f"not committed:\n{changed}\nCommit it, stash it, or say --uncommitted")


def build(folder: Path, version: str, names: Iterable[str], builder: Builder, helm: str) -> None:
    """Build everything into an empty folder; the checksums last."""
    scripts = Path(sys.executable).parent
    run([scripts / "uv", "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", folder, ROOT])
    (folder / ".gitignore").unlink(missing_ok=True)
    run([helm, "package", CHART, "--destination", folder])
    for name in names:
        bill = ("--output-reproducible", "--validate", "--output-file", folder / f"{name}.cdx.json")
        known = ("--pyproject", ROOT / "pyproject.toml")
        run([scripts / "cyclonedx-py", "requirements", "-", *known, *bill], installed(name))
        builder.archive(builder.build(name, version), folder / f"mmaction-{name}-{version}.tar")
    files = sorted(folder.iterdir())
    (folder / SUMS).write_text("".join(f"{digest(file)}  {file.name}\n" for file in files), encoding="utf-8")


def installed(image: str) -> str:
    """What of an image's lock is installed in it: a lock has what other systems need as well."""
    lock = (ROOT / "requirements" / f"{image}.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^[a-z0-9].*(?:\n .*)*", lock, flags=re.MULTILINE)
    markers = [Requirement(entry.partition("\\")[0]).marker for entry in entries]
    return "\n".join(entry for entry, marker in zip(entries, markers, strict=True) if not marker or marker.evaluate())


def digest(file: Path) -> str:
    """A file's sha256."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def run(command: Sequence[str | Path], given: str = "") -> str:
    """A program's output.

    Args:
        given: its input.

    Raises:
        Refused: it failed, or is not there.
    """
    words = list(map(str, command))
    # What is built from one commit is the same whenever it is built.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": time_of_commit()}
    try:
        done = subprocess.run(
            words, cwd=ROOT, env=environment, input=given, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Refused(f"there is no program {words[0]}: install it, or name it (--helm)") from None
    if done.returncode:
        raise Refused(f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr.strip()}")
    return done.stdout


def time_of_commit() -> str:
    """When what is released was committed, in seconds since 1970."""
    shown = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(shown, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def options() -> argparse.Namespace:
    """The command line: that of images.py, without a tag, as that is the version."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[images.building()]
    )
    parser.add_argument("--helm", default="helm", metavar="PROGRAM", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--uncommitted", action="store_true", help="release what is here, committed or not")
    return parser.parse_args()


def main() -> int:
    arguments = options()
    try:
        number = version()
        if not arguments.uncommitted:
            refuse_changes()
        target, unfinished = arguments.out / number, arguments.out / f".{number}"
        if target.exists():
            raise Refused(f"{target} is there already: remove it, or raise the version")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        build(unfinished, number, arguments.images or images.IMAGES, images.builder_of(arguments), arguments.helm)
        unfinished.rename(target)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print((target / SUMS).read_text(encoding="utf-8"), end="")
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
