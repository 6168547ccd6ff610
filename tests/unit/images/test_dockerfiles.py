"""What is in an image is pinned and hashed, comes from one base, and runs as nobody in particular."""

import re
from pathlib import Path

import pytest

from scripts.images import IMAGES, ROOT, default_base_image

REQUIREMENTS = ROOT / "requirements"
REGISTRY = re.compile(r"https?://|pypi|pythonhosted|(extra-|default-)?index-url|find-links|_INDEX", re.IGNORECASE)


def instructions(image: str) -> list[str]:
    """A Dockerfile's instructions, a line each, without comments."""
    text = (ROOT / "docker" / f"{image}.Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [line for line in re.sub(r"\\\n\s*", " ", lines).splitlines() if line]


def last_stage(image: str) -> list[str]:
    every = instructions(image)
    return every[max(index for index, line in enumerate(every) if line.startswith("FROM ")) :]


def entries(lock: str) -> dict[str, str]:
    """The pins of a lock, each with its marker and hashes, by name and version."""
    text = re.sub(r"^\s*#.*\n", "", (REQUIREMENTS / lock).read_text(), flags=re.MULTILINE)
    found = re.findall(r"^([a-z0-9][^ ]*==[^ ]+)(.*(?:\n    --hash=.*)+)", text, re.MULTILINE)
    return dict(found)


def reasons(lock: str) -> dict[str, set[str]]:
    """By package, those that ask for it; our own project for what it asks for itself."""
    asked: dict[str, set[str]] = {}
    name = ""
    for line in (REQUIREMENTS / lock).read_text().splitlines():
        if found := re.match(r"([a-z0-9][^=]*)==", line):
            name = found[1]
        elif found := re.match(r"    # (?:via| ) +([a-z0-9-]+)", line):
            asked.setdefault(name, set()).add(found[1])
    return asked


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_numeric_user_who_is_not_root(image: str) -> None:
    users = [line for line in last_stage(image) if line.startswith("USER ")]
    assert users == ["USER 65532:65532"]
    assert not [line for line in last_stage(image)[last_stage(image).index(users[0]) :] if line.startswith("RUN ")]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_stands_on_one_base_which_can_be_chosen(image: str) -> None:
    bases = {line.split()[1] for line in instructions(image) if line.startswith("FROM ")}
    stages = {line.split()[3] for line in instructions(image) if re.match(r"FROM \S+ AS ", line)}
    assert bases - stages == {"${BASE_IMAGE}"}
    assert default_base_image(image) == default_base_image("operator")


@pytest.mark.parametrize("image", IMAGES)
def test_every_install_is_of_a_lock_with_hashes_or_of_our_own_wheel(image: str) -> None:
    text = "\n".join(instructions(image)).replace("$INSTALL", next(iter(arguments(image)), ""))
    installs = re.findall(r"pip install.*?(?= && |\n|$)", text)
    assert len(installs) >= 3
    for install in installs:
        assert "--require-hashes" in install or re.search(r"--no-deps /wheel/\*\.whl$", install), install


def arguments(image: str) -> list[str]:
    return [line.split("=", 1)[1].strip('"') for line in instructions(image) if line.startswith("ARG INSTALL=")]


@pytest.mark.parametrize("file", [*(f"docker/{image}.Dockerfile" for image in IMAGES), ".dockerignore"])
def test_no_package_registry_is_named(file: str) -> None:
    assert not REGISTRY.search((ROOT / file).read_text())


@pytest.mark.parametrize("lock", ["torch.lock", "build.lock"])
def test_no_lock_of_an_image_names_a_package_registry(lock: str) -> None:
    assert not REGISTRY.search((REQUIREMENTS / lock).read_text())


@pytest.mark.parametrize(("part", "whole"), [("torch.lock", "trainer.lock"), ("build.lock", "dev.lock")])
def test_a_lock_for_one_layer_pins_what_the_whole_lock_pins(part: str, whole: str) -> None:
    assert entries(part)
    assert {pin: whole_entry for pin, whole_entry in entries(whole).items() if pin in entries(part)} == entries(part)


def test_torchs_layer_holds_torch_and_all_that_only_torch_brings() -> None:
    """Another package's version must not build gigabytes anew, so it is not in this lock even if torch needs it too."""
    asked = reasons("trainer.lock")
    assert {"torch", "torchvision"} <= {pin.partition("==")[0] for pin in entries("torch.lock")}
    only = set(asked)
    while others := {name for name in only - {"torch", "torchvision"} if not asked[name] <= only}:
        only -= others
    assert {pin.partition("==")[0] for pin in entries("torch.lock")} == only


def test_what_builds_our_wheel_is_locked() -> None:
    assert "hatchling" in {pin.partition("==")[0] for pin in entries("build.lock")}
    assert all("build.lock" in " ".join(instructions(image)) for image in IMAGES)


def test_the_dockerfiles_are_those_of_the_images() -> None:
    assert {path.name for path in (ROOT / "docker").glob("*.Dockerfile")} == {f"{image}.Dockerfile" for image in IMAGES}
    assert Path(ROOT / ".dockerignore").exists()
