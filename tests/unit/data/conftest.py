"""What the tests of data share: a data set built from a table of files, and where a run puts it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from mmaction_trainer.data.cache import Cache
from mmaction_trainer.data.holdings import Holdings
from mmaction_trainer.storage import open_storage

Files = Mapping[str, str | bytes | Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data set's folder."""
    return tmp_path / "set"


@pytest.fixture
def build(folder: Path) -> Callable[[Files], Path]:
    """Makes a data set of files: text as it is, bytes, or a copy of a clip."""

    def build(files: Files) -> Path:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copy(content, path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return build


@pytest.fixture
def holdings(build: Callable[[Files], Path]) -> Callable[[Files], Holdings]:
    """Makes a data set of files, as the formats see it."""
    return lambda files: Holdings(open_storage(str(build(files))))


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    cache = Cache(tmp_path / "cache")
    yield cache
    cache.close()
