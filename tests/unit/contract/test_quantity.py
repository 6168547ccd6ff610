"""Amounts of bytes mean what they mean to Kubernetes."""

from __future__ import annotations

import re

import pytest

from mmaction_trainer.contract.quantity import in_bytes


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("1000000", 10**6), ("200Gi", 200 * 2**30), ("1.5T", 1_500_000_000_000), ("4k", 4000), ("0.5Ki", 512)],
)
def test_an_amount_is_so_many_bytes(text: str, count: int) -> None:
    assert in_bytes(text) == count


@pytest.mark.parametrize("text", ["", "Gi", "10GB", "-1", "500m", "1,5G", "10 Gi"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        in_bytes(text)
