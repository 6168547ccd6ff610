"""Builds the operator's and the trainer's images with a container engine that works here: docker, podman or buildah.

python scripts/images.py                          build localhost/mmaction-operator:dev and mmaction-trainer:dev
python scripts/images.py --tag v1 trainer         build one, with another tag

Where no image registry answers, `scripts/base_image.py` makes a base image for buildah:

python scripts/images.py --engine buildah --base-image "$(python scripts/base_image.py)"
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMAGES = ("operator", "trainer")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class Refused(Exception):
    """Something is missing, or an engine failed; the message says what to do."""


@dataclass(frozen=True)
class Engine:
    """A program that builds images, and how it spells what is asked of it here."""

    program: str
    answers: tuple[str, ...]
    """Succeeds only where images can be built: docker's client is often there without its daemon."""
    build: tuple[str, ...]
    identify: tuple[str, ...]
    """Prints the id of an image of this machine, whose name comes next."""
    archive: tuple[str, ...]
    """Writes the image {image} to the file {file}."""
    isolates: bool = True
    """Whether ``build`` takes ``--isolation``."""


ENGINES = (
    Engine(
        "docker",
        answers=("version", "--format", "{{.Server.Version}}"),
        build=("build",),
        identify=("image", "inspect", "--format", "{{.Id}}"),
        archive=("save", "--output", "{file}", "{image}"),
        isolates=False,
    ),
    Engine(
        "podman",
        answers=("info",),
        build=("build", "--layers"),
        identify=("image", "inspect", "--format", "{{.Id}}"),
        archive=("save", "--format", "oci-archive", "--output", "{file}", "{image}"),
    ),
    Engine(
        "buildah",
        answers=("info",),
        build=("build", "--layers"),
        identify=("inspect", "--type", "image", "--format", "{{.FromImageID}}"),
        archive=("push", "--quiet", "{image}", "oci-archive:{file}:{image}"),
    ),
)


def works(engine: Engine) -> bool:
    """Whether the engine is installed and answers."""
    return shutil.which(engine.program) is not None and _run([engine.program, *engine.answers]).returncode == 0


def engine_of(name: str | None = None, works: Callable[[Engine], bool] = works) -> Engine:
    """The engine of that name, else the first that works.

    Raises:
        Refused: it does not work, or none does.
    """
    found = next((engine for engine in ENGINES if name in (None, engine.program) and works(engine)), None)
    if found:
        return found
    if name:
        raise Refused(f"{name} does not answer on this machine: install it, start its daemon, or leave out --engine")
    names = ", ".join(engine.program for engine in ENGINES)
    raise Refused(f"no engine that builds images answers here, of {names}: install one, or start docker's daemon")


@dataclass(frozen=True)
class Builder:
    """What an image is built with.

    Args:
        engine: what builds.
        base_image: what the image stands on; without it the one that the Dockerfile names.
        isolation: how buildah and podman keep a build apart from the machine; ``chroot`` needs no container runtime.
        certificates: authorities that downloads are checked against, in PEM; of no account in the image.
    """

    engine: Engine
    base_image: str | None = None
    isolation: str | None = None
    certificates: Path | None = None

    def build(self, image: str, tag: str) -> str:
        """Build an image; its name."""
        name = reference(image, tag)
        self._do(f"build docker/{image}.Dockerfile", build_command(self, image, tag))
        return name

    def archive(self, name: str, file: Path) -> None:
        """Write an image to a file from which every engine loads it."""
        words = [word.format(image=name, file=file) for word in self.engine.archive]
        self._do(f"write {name} to {file}", [self.engine.program, *words])

    def base_image_id(self, image: str) -> str:
        """The id of the base image, which is pulled if it is not on this machine."""
        base = self.base_image or default_base_image(image)
        identify = [self.engine.program, *self.engine.identify, base]
        if (found := _run(identify)).returncode:
            self._do(
                f"pull the base image {base}",
                [self.engine.program, "pull", base],
                "Where no image registry answers, name one of this machine with --base-image; scripts/base_image.py "
                "makes one for buildah",
            )
            found = _run(identify)
        if found.returncode:
            raise Refused(f"{self.engine.program} does not know {base}: {found.stderr.strip()}")
        return found.stdout.strip()

    def forget(self, image: str, keep: str) -> None:
        """Remove what earlier digests of an image left in the engine, but not what is in use."""
        repository = reference(image, "").rstrip(":")
        listing = ["images", "--filter", f"reference={repository}", "--format", "{{.Tag}}"]
        tags = _run([self.engine.program, *listing]).stdout.split()
        for tag in tags:
            if re.fullmatch(r"[0-9a-f]{16}", tag) and tag != keep:
                _run([self.engine.program, "rmi", reference(image, tag)])

    def _do(self, what: str, command: Sequence[str], otherwise: str = "") -> None:
        """Run the engine, its output on stderr: stdout is for what a script reads."""
        code = subprocess.run(command, stdout=2, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=False).returncode
        if code:
            raise Refused(f"{command[0]} could not {what} (exit code {code}); it says why above. {otherwise}".strip())


def build_command(builder: Builder, image: str, tag: str, root: Path = ROOT) -> list[str]:
    """The command that builds an image."""
    if builder.isolation and not builder.engine.isolates:
        raise Refused(f"--isolation is for buildah and podman; {builder.engine.program} has its own")
    options = [f"--file={root}/docker/{image}.Dockerfile", f"--tag={reference(image, tag)}"]
    if builder.base_image:
        options.append(f"--build-arg=BASE_IMAGE={builder.base_image}")
    if builder.isolation:
        options.append(f"--isolation={builder.isolation}")
    if builder.certificates:
        options.append(f"--secret=id=certificates,src={builder.certificates}")
    return [builder.engine.program, *builder.engine.build, *options, str(root)]


def reference(image: str, tag: str) -> str:
    """An image's full name."""
    return f"localhost/mmaction-{image}:{tag}"


def default_base_image(image: str, root: Path = ROOT) -> str:
    """The base image that a Dockerfile names."""
    found = re.search(r"^ARG BASE_IMAGE=(\S+)$", _dockerfile(image, root).read_text(), re.MULTILINE)
    assert found, f"docker/{image}.Dockerfile has no line ARG BASE_IMAGE=..."
    return found[1]


def inputs(image: str, root: Path = ROOT) -> list[Path]:
    """The files that an image is made of: its Dockerfile, and what that copies from the repository."""
    dockerfile = _dockerfile(image, root)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile.read_text(), re.MULTILINE)
    sources = [root / source for words in copied for source in words.split()]
    files = {file for source in sources for file in ([source] if source.is_file() else source.rglob("*"))}
    kept = (file for file in files if file.is_file() and "__pycache__" not in file.parts)
    return sorted({dockerfile, root / ".dockerignore", *kept})


def digest(image: str, base_image_id: str, root: Path = ROOT) -> str:
    """16 hexadecimal digits that change with everything that goes into an image."""
    total = hashlib.sha256(base_image_id.encode())
    for file in inputs(image, root):
        content = file.read_bytes()
        total.update(f"\0{file.relative_to(root)}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16]


def default_certificates(environ: Mapping[str, str]) -> Path | None:
    """The authorities that this machine trusts, those of its company's proxy among them, if they are in one file."""
    named = Path(environ.get("SSL_CERT_FILE") or CERTIFICATES)
    return named if named.is_file() else None


def _dockerfile(image: str, root: Path) -> Path:
    return root / "docker" / f"{image}.Dockerfile"


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def known_image(name: str) -> str:
    """The name of an image, for a command line."""
    if name not in IMAGES:
        raise argparse.ArgumentTypeError(f"no image {name}; there are: {', '.join(IMAGES)}")
    return name


def building() -> argparse.ArgumentParser:
    """The part of a command line that is about building images."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("images", nargs="*", type=known_image, metavar="operator|trainer", help="default: both")
    parser.add_argument(
        "--engine", choices=[engine.program for engine in ENGINES], help="default: the first that works"
    )
    parser.add_argument("--base-image", metavar="REF", help="default: what the Dockerfiles name")
    parser.add_argument("--isolation", help="buildah, podman: `chroot` needs no container runtime")
    parser.add_argument(
        "--certificates",
        type=Path,
        metavar="FILE",
        default=default_certificates(os.environ),
        help="trust these authorities while building; default: this machine's (%(default)s)",
    )
    return parser


def builder_of(arguments: argparse.Namespace) -> Builder:
    """What that part of a command line asks for."""
    return Builder(engine_of(arguments.engine), arguments.base_image, arguments.isolation, arguments.certificates)


def options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[building()]
    )
    parser.add_argument("--tag", default="dev", help="default: %(default)s")
    return parser.parse_args(argv)


def main() -> int:
    arguments = options()
    try:
        builder = builder_of(arguments)
        for image in arguments.images or IMAGES:
            print(builder.build(image, arguments.tag))
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
