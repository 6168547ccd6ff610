"""The cases of TrainJobs, for tests of the models."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.trainjob_cases import CASES, changed, parametrize


@pytest.fixture
def manifest() -> Callable[[dict[str, Any]], dict[str, Any]]:
    return changed


@pytest.fixture
def cases() -> dict[str, Any]:
    return deepcopy(CASES)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc)
