"""An image is built by an engine that works, once for what goes into it."""

import shutil
from pathlib import Path

import pytest

from scripts import images
from scripts.images import ENGINES, ROOT, Builder, Refused, build_command, digest, engine_of, inputs, works

DOCKER, PODMAN, BUILDAH = ENGINES
SOURCES = ("README.md", "LICENSE", "NOTICE", "pyproject.toml", "operator/a/b.py", "trainer/a.py")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Our Dockerfiles and locks, and a file of each kind that they copy."""
    root = tmp_path / "repository"
    for folder in ("docker", "requirements"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / ".dockerignore", root)
    for name in SOURCES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def append(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as text:
        text.write("# more\n")


@pytest.mark.parametrize("image", images.IMAGES)
@pytest.mark.parametrize(
    "changed", [*SOURCES, "operator/new.py", ".dockerignore", "requirements/bootstrap.lock", "requirements/build.lock"]
)
def test_the_digest_changes_with_what_both_images_hold(repository: Path, image: str, changed: str) -> None:
    before = digest(image, "base", repository)
    append(repository / changed)
    assert digest(image, "base", repository) != before


@pytest.mark.parametrize("ours", images.IMAGES)
@pytest.mark.parametrize(
    ("image", "changed"),
    [
        ("operator", "docker/operator.Dockerfile"),
        ("operator", "requirements/operator.lock"),
        ("trainer", "docker/trainer.Dockerfile"),
        ("trainer", "requirements/trainer.lock"),
        ("trainer", "requirements/torch.lock"),
    ],
)
def test_what_one_image_holds_changes_no_other(repository: Path, ours: str, image: str, changed: str) -> None:
    before = digest(ours, "base", repository)
    append(repository / changed)
    assert (digest(ours, "base", repository) != before) == (ours == image)


@pytest.mark.parametrize("image", images.IMAGES)
def test_the_digest_stays_with_what_no_image_holds(repository: Path, image: str) -> None:
    before = digest(image, "base", repository)
    for name in ("requirements/dev.lock", "tests/test_a.py", "operator/a/__pycache__/b.pyc", "docs/a.md"):
        append(repository / name)
    assert digest(image, "base", repository) == before


def test_the_digest_changes_with_the_base_image_and_with_a_files_name(repository: Path) -> None:
    before = digest("operator", "base", repository)
    assert digest("operator", "another", repository) != before
    (repository / "operator/a/b.py").rename(repository / "operator/a/c.py")
    assert digest("operator", "base", repository) != before


@pytest.mark.parametrize("image", images.IMAGES)
def test_what_an_image_is_made_of_is_in_the_build_context(image: str) -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    copied = {file.relative_to(ROOT) for file in inputs(image)} - {Path(".dockerignore")}
    assert {path.parts[0] for path in copied} - {"docker"} <= {rule[1:] for rule in rules if rule.startswith("!")}
    assert not {str(path) for path in copied} & set(rules)


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first folder that programs are looked for in; engines of the machine are not found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "sleep", "cat"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_dockers_client_without_its_daemon_does_not_count(path: Path) -> None:
    assert not works(DOCKER)
    program(path, "docker", "exit 1")
    program(path, "podman", "exit 0")
    assert engine_of() is PODMAN
    program(path, "docker", "exit 0")
    assert engine_of() is DOCKER
    assert engine_of("podman") is PODMAN


def test_where_no_engine_works_the_refusal_names_them() -> None:
    with pytest.raises(Refused, match="docker, podman, buildah: install one"):
        engine_of(works=lambda engine: False)
    with pytest.raises(Refused, match="podman does not answer"):
        engine_of("podman", works=lambda engine: engine is DOCKER)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: str(engine.program))
def test_a_build_is_told_its_base_and_the_machines_certificates(engine: images.Engine) -> None:
    command = build_command(Builder(engine, "localhost/base:1", certificates=Path("/ca.pem")), "operator", "dev")
    assert "--build-arg=BASE_IMAGE=localhost/base:1" in command
    assert "--secret=id=certificates,src=/ca.pem" in command
    assert command[0] == engine.program
    assert command[-1] == str(ROOT)


def test_isolation_is_passed_on_or_refused() -> None:
    assert "--isolation=chroot" in build_command(Builder(BUILDAH, isolation="chroot"), "trainer", "dev")
    with pytest.raises(Refused, match="for buildah and podman"):
        build_command(Builder(DOCKER, isolation="chroot"), "trainer", "dev")


def test_certificates_are_those_that_the_environment_names(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    assert images.default_certificates({"SSL_CERT_FILE": str(tmp_path / "ca.pem")}) == tmp_path / "ca.pem"
    assert images.default_certificates({"SSL_CERT_FILE": str(tmp_path / "none.pem")}) is None


def test_the_engine_forgets_earlier_digests_of_an_image_and_no_other_tag(path: Path) -> None:
    tags = "dev 0123456789abcdef fedcba9876543210 v1"
    program(path, "buildah", f'case "$1" in images) echo {tags} ;; rmi) echo "$2" >> {path}/removed ;; esac')
    Builder(BUILDAH).forget("operator", keep="fedcba9876543210")
    assert (path / "removed").read_text() == "localhost/mmaction-operator:0123456789abcdef\n"


def test_a_build_that_fails_says_what_and_with_which_code(path: Path) -> None:
    program(path, "buildah", "exit 3")
    with pytest.raises(Refused, match=r"buildah could not build docker/operator.Dockerfile \(exit code 3\)"):
        Builder(BUILDAH).build("operator", "dev")


def test_a_base_image_that_cannot_be_had_is_named(path: Path) -> None:
    program(path, "buildah", "exit 125")
    with pytest.raises(Refused, match=r"pull the base image docker.io/library/python:3.11.*scripts/base_image.py"):
        Builder(BUILDAH).base_image_id("operator")
