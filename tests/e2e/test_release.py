"""What a release consists of can be used, and is what it says."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from scripts import base_image, images
from tests.cluster.programs import program
from tests.documents import ROOT

VERSION = yaml.safe_load((ROOT / "charts" / "mmaction-operator" / "Chart.yaml").read_text())["version"]


def release(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Build a release into a folder, on a base image that needs no registry."""
    base = ("--engine=buildah", "--isolation=chroot", f"--base-image={base_image.base_image()}")
    command = [sys.executable, "-m", "scripts.release", f"--helm={program('helm')}", f"--out={folder}", *base, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of the code as it is, without the trainer's gigabytes, which are built and written in the same way."""
    folder = tmp_path_factory.mktemp("release")
    done = release(folder, "--uncommitted", "operator")
    assert done.returncode == 0, done.stderr
    return folder / VERSION


def output(*words: str | Path) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_checksums_are_those_of_all_its_files(released: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=released, check=True, capture_output=True)
    named = {line.split()[1] for line in (released / "SHA256SUMS").read_text().splitlines()}
    assert named == {file.name for file in released.iterdir()} - {"SHA256SUMS"}
    assert {file.suffix for file in released.iterdir()} == {"", ".whl", ".tgz", ".tar", ".json"}


def test_the_wheel_has_both_packages_and_both_commands(released: Path) -> None:
    (wheel,) = released.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"mmaction_operator/cli/app.py", "mmaction_trainer/launch/__init__.py"} <= set(names)
    assert any(name.endswith("entry_points.txt") for name in names)
    assert not [name for name in names if name.startswith(("tests", "scripts", "docs"))]


def test_the_chart_is_installed_from_its_archive(released: Path) -> None:
    (chart,) = released.glob("*.tgz")
    shown = output(program("helm"), "template", "release", chart, "--kube-version=1.36.0")
    kinds = {item["kind"] for item in yaml.safe_load_all(shown) if item}
    assert {"CustomResourceDefinition", "Deployment", "ClusterRole"} <= kinds
    assert f"mmaction-operator:{VERSION}" in shown


def test_the_bill_of_materials_has_every_package_of_the_image_with_its_hash(released: Path) -> None:
    bill = json.loads((released / "operator.cdx.json").read_text())
    packages = {entry["name"]: entry for entry in bill["components"]}
    assert {"kubernetes", "pydantic", "boto3"} <= packages.keys()
    assert "aiohttp" not in packages  # in the lock for no system
    for entry in packages.values():
        assert entry["externalReferences"][0]["hashes"], entry["name"]
    image = images.reference("operator", VERSION)
    container = output("buildah", "from", image).strip()
    try:
        listed = output("buildah", "run", "--isolation=chroot", container, "--", "python", "-c", LIST)
    finally:
        output("buildah", "rm", container)
    assert set(listed.split()) - {f"mmaction-operator=={VERSION}"} == {
        f"{e['name']}=={e['version']}" for e in packages.values()
    }


LIST = """
import importlib.metadata, re
for found in importlib.metadata.distributions():
    print(re.sub("[-_.]+", "-", found.metadata["Name"]).lower() + "==" + found.version)
"""


def test_the_image_is_loaded_from_its_archive(released: Path) -> None:
    (archive,) = released.glob("*.tar")
    name = output("buildah", "pull", "--quiet", f"oci-archive:{archive}").strip()
    assert "trainjob" in output("buildah", "inspect", "--type", "image", name)


def test_a_release_is_not_written_over(released: Path) -> None:
    done = release(released.parent, "--uncommitted", "operator")
    assert (done.returncode, "is there already" in done.stderr) == (1, True)


def test_what_is_not_committed_is_not_released(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    output("git", "clone", "--quiet", ROOT, clone)
    (clone / "new.txt").write_text("new")
    command = [sys.executable, "-m", "scripts.release", f"--out={tmp_path / 'out'}"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[:2]) == (1, ["not committed:", "?? new.txt"])
    assert not (tmp_path / "out").exists()
