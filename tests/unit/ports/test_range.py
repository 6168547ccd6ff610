"""The range that ports come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmaction_operator.ports import PortRange, ephemeral_range, refuse_overlap
from mmaction_trainer.contract.errors import ConfigFailure


def test_the_default_stays_clear_of_the_kernels_and_everyone_elses_ports() -> None:
    ports = PortRange()
    offered = set(ports.from_offset(0))
    assert (min(offered), max(offered)) == (20000, 29399)
    assert offered.isdisjoint({23456, 29400, 29500})
    refuse_overlap(ports, (32768, 60999))


@pytest.mark.parametrize("text", ["20000-29399", " 20000 - 29399 "])
def test_a_range_is_read_from_text(text: str) -> None:
    assert PortRange.parse(text) == PortRange(20000, 29399)


def test_a_range_reads_back_what_it_prints() -> None:
    assert PortRange.parse(str(PortRange(21000, 21009))) == PortRange(21000, 21009)


@pytest.mark.parametrize("text", ["", "20000", "20000-", "-1-20000", "a-b", "20000..29399", "20000-29399-1"])
def test_text_that_is_no_range_is_refused_with_the_form_that_is(text: str) -> None:
    with pytest.raises(ConfigFailure, match="FIRST-LAST") as refusal:
        PortRange.parse(text)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize(
    ("first", "last", "because"),
    [
        (21000, 20999, "ends before it begins"),
        (1023, 2000, "privileged"),
        (29000, 30000, "NodePorts, 30000-32767"),
        (40000, 41000, "NodePorts, 30000-32767"),
    ],
)
def test_a_range_that_cannot_be_used_is_refused(first: int, last: int, because: str) -> None:
    with pytest.raises(ConfigFailure, match=because) as refusal:
        PortRange(first, last)
    assert f"{first}-{last}" in str(refusal.value)


def test_a_range_of_reserved_ports_alone_is_refused() -> None:
    with pytest.raises(ConfigFailure, match="every port of 20000-20001 is reserved"):
        PortRange(20000, 20001, reserved=frozenset({20000, 20001}))


@pytest.mark.parametrize("ephemeral", [(29399, 60999), (10000, 20000), (22000, 23000), (1024, 65535)])
def test_an_overlap_with_the_ephemeral_range_is_refused_and_names_both(ephemeral: tuple[int, int]) -> None:
    with pytest.raises(ConfigFailure) as refusal:
        refuse_overlap(PortRange(), ephemeral)
    assert "20000-29399" in str(refusal.value)
    assert f"{ephemeral[0]}-{ephemeral[1]}" in str(refusal.value)


@pytest.mark.parametrize("ephemeral", [(29400, 60999), (10000, 19999)])
def test_a_range_may_touch_the_ephemeral_one(ephemeral: tuple[int, int]) -> None:
    refuse_overlap(PortRange(), ephemeral)


def test_the_ephemeral_range_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "range").write_text("32768\t60999\n")
    assert ephemeral_range(tmp_path / "range") == (32768, 60999)
