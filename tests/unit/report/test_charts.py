"""Pictures can be read on both pages, the light one and the dark one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mmaction_trainer.report.charts import FIRST, SECOND, tint

PAGE = files("mmaction_trainer.report").joinpath("page.html").read_text(encoding="utf-8")
GROUNDS, LETTERS = (re.findall(rf"--{name}: (#[0-9a-f]{{6}})", PAGE) for name in ("page", "text"))


def luminance(colour: Sequence[float]) -> float:
    """Relative luminance of RGB from 0 to 1, as WCAG defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    """From 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_there_is_a_light_page_and_a_dark_one() -> None:
    assert [luminance(to_rgb(ground)) > 0.5 for ground in GROUNDS] == [True, False]


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("filled", [FIRST, SECOND])
def test_what_is_filled_stands_out(filled: str, ground: str) -> None:
    assert contrast(to_rgb(filled), to_rgb(ground)) >= 3


@pytest.mark.parametrize(("ground", "letters"), list(zip(GROUNDS, LETTERS, strict=True)))
def test_numbers_can_be_read_in_the_fullest_cell_of_a_matrix(ground: str, letters: str) -> None:
    *colour, opacity = tint(np.ones((1, 1)))[0, 0]
    cell = [opacity * part + (1 - opacity) * below for part, below in zip(colour, to_rgb(ground), strict=True)]
    assert contrast(cell, to_rgb(letters)) >= 4.5
