"""The leaderboard in a browser: sorted by any column, filtered by words, by keys alone, and without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

Open = Callable[..., Any]
LARGEST = "ucf101, split 1: 10x3 views"


def table(page: Page, name: str = LARGEST) -> Locator:
    """The table below a heading."""
    return page.get_by_role("region", name=name).locator("table")


def jobs(page: Page, name: str = LARGEST) -> list[str]:
    """Jobs in a table as they are shown, from the top."""
    rows = table(page, name).locator("tbody tr:visible th").all_inner_texts()
    return [row.split()[0].removeprefix("team-a/") for row in rows]


def heading(page: Page, column: str, name: str = LARGEST) -> Locator:
    """The heading of a column."""
    return table(page, name).get_by_role("columnheader", name=column, exact=True)


def sorted_columns(page: Page) -> dict[str, str]:
    """Which columns of the table say that they are sorted, and which way."""
    headings = table(page).locator("th[aria-sort]").all()
    return {each.inner_text().replace("\n", " "): str(each.get_attribute("aria-sort")) for each in headings}


def test_it_begins_with_the_best_test_score(opened: Open, leaderboard: Path) -> None:
    with opened(leaderboard) as shown:
        assert jobs(shown.page) == ["slowfast", "longer", "i3d", "from-scratch"]
        assert sorted_columns(shown.page) == {"rank": "ascending"}


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("job", ["from-scratch", "i3d", "longer", "slowfast"], ["slowfast", "longer", "i3d", "from-scratch"]),
        ("test top-1", ["slowfast", "longer", "i3d", "from-scratch"], ["from-scratch", "i3d", "longer", "slowfast"]),
        ("val top-1", ["longer", "slowfast", "i3d", "from-scratch"], ["slowfast", "i3d", "longer", "from-scratch"]),
        ("epoch", ["longer", "slowfast", "i3d", "from-scratch"], ["slowfast", "i3d", "longer", "from-scratch"]),
        ("params", ["i3d", "slowfast", "longer", "from-scratch"], ["slowfast", "longer", "i3d", "from-scratch"]),
        ("GPU hours", ["longer", "i3d", "slowfast", "from-scratch"], ["slowfast", "longer", "i3d", "from-scratch"]),
    ],
)
def test_a_heading_sorts_and_sorts_again_and_what_is_not_said_comes_last(
    opened: Open, leaderboard: Path, column: str, first: list[str], second: list[str]
) -> None:
    with opened(leaderboard) as shown:
        button = heading(shown.page, column).get_by_role("button")
        button.click()
        assert jobs(shown.page) == first
        way = sorted_columns(shown.page)
        button.click()
        assert jobs(shown.page) == second
        assert list(sorted_columns(shown.page)) == list(way) == [column]
        assert {*way.values(), *sorted_columns(shown.page).values()} == {"ascending", "descending"}


def test_every_column_of_every_table_can_be_sorted(opened: Open, leaderboard: Path) -> None:
    with opened(leaderboard) as shown:
        headings = shown.page.locator("thead th").all()
        assert len(headings) > 50
        for each in headings:
            before = each.get_attribute("aria-sort")
            each.get_by_role("button").click()
            assert each.get_attribute("aria-sort") not in (None, before)


def test_one_table_is_sorted_and_the_others_stay(opened: Open, leaderboard: Path) -> None:
    with opened(leaderboard) as shown:
        heading(shown.page, "job").get_by_role("button").click()
        others = shown.page.locator("th[aria-sort]").all_inner_texts()
        assert sorted(others) == ["job", "rank", "rank"]


@pytest.mark.parametrize(
    ("words", "rows", "said"),
    [
        ("i3d", ["i3d"], "1 of 7 runs"),
        ("SLOWFAST longer", ["longer"], "1 of 7 runs"),
        ("10x3", ["slowfast", "longer", "i3d", "from-scratch"], "4 of 7 runs"),
        ("no test score", [], "1 of 7 runs"),
        ("nothing has this", [], "0 of 7 runs"),
        (" ", ["slowfast", "longer", "i3d", "from-scratch"], "7 runs"),
    ],
)
def test_words_leave_the_rows_that_have_all_of_them(
    opened: Open, leaderboard: Path, words: str, rows: list[str], said: str
) -> None:
    with opened(leaderboard) as shown:
        shown.page.get_by_label("Filter runs").fill(words)
        assert shown.page.locator("section tbody tr:visible").count() == int(said.split()[0])
        assert jobs(shown.page) == rows
        assert table(shown.page).is_visible() == bool(rows)
        status = shown.page.locator("[aria-live=polite]")
        assert status.inner_text() == said


def test_what_was_filtered_comes_back(opened: Open, leaderboard: Path) -> None:
    with opened(leaderboard) as shown:
        field = shown.page.get_by_label("Filter runs")
        field.fill("timesformer")
        assert jobs(shown.page) == []
        field.clear()
        assert len(jobs(shown.page)) == 4


def test_keys_alone_filter_and_sort(opened: Open, leaderboard: Path) -> None:
    with opened(leaderboard) as shown:
        keyboard = shown.page.keyboard
        keyboard.press("Tab")
        keyboard.type("10x3")
        tab_to(shown.page, "job")
        assert shown.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "it can be seen"
        keyboard.press("Enter")
        assert jobs(shown.page) == ["from-scratch", "i3d", "longer", "slowfast"]
        keyboard.press("Space")
        assert jobs(shown.page) == ["slowfast", "longer", "i3d", "from-scratch"]


def tab_to(page: Page, name: str) -> None:
    """Press Tab until a button of that name has the focus."""
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("[document.activeElement.tagName, document.activeElement.innerText]") == ["BUTTON", name]:
            return
    raise AssertionError(f"no button {name} within ten tabs")


def test_without_javascript_the_tables_stand_as_they_are_ranked(opened: Open, leaderboard: Path) -> None:
    with opened(leaderboard, java_script_enabled=False) as shown:
        assert jobs(shown.page) == ["slowfast", "longer", "i3d", "from-scratch"]
        assert shown.page.get_by_role("button").count() == 0
        assert not shown.page.get_by_label("Filter runs").is_visible()
        assert shown.page.get_by_text("no test score").is_visible()
