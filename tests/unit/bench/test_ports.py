"""The benchmark of ports: both sides lease to as many jobs, and say how many share a port."""

from __future__ import annotations

from typing import Any

import pytest

from bench.ports import Drawn, measure
from mmaction_operator.ports import PortRange, PortRegistry

TEN = PortRange(first=20000, last=20009)


@pytest.mark.parametrize("make", [PortRegistry, Drawn])
@pytest.mark.parametrize(("live", "shared"), [(0, 0), (9, 0), (10, 0), (12, 2)])
def test_jobs_share_a_port_only_where_there_are_too_few(make: Any, live: int, shared: int) -> None:
    found = measure(lambda ports: make(TEN), live, rounds=30)
    assert found["shared"] >= shared
    if make is PortRegistry:
        assert found["shared"] == shared
    assert found["leasesPerSecond"] > 0
