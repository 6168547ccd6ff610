"""Both pages, narrow and wide, light and dark: axe finds nothing, nothing overflows, nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
Open = Callable[..., Any]


@pytest.fixture(params=["report", "leaderboard"])
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def unfold(page: Page) -> None:
    """Show what the page keeps folded."""
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(opened: Open, file: Path, width: int, scheme: str) -> None:
    with opened(file, width, color_scheme=scheme) as shown:
        unfold(shown.page)
        found = Axe().run(shown.page, options=RULES)
    assert len(found.response["passes"]) > 20, "it has looked"
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [360, 390, 1280, 1600])
def test_the_page_is_no_wider_than_its_window(opened: Open, file: Path, width: int) -> None:
    with opened(file, width) as shown:
        unfold(shown.page)
        assert shown.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fetches_nothing_and_complains_of_nothing(opened: Open, file: Path, scheme: str) -> None:
    with opened(file, color_scheme=scheme) as shown:
        unfold(shown.page)
        shown.page.wait_for_load_state("networkidle")
        asked = [url for url in shown.requests if not url.startswith("data:")]
        assert (asked, shown.complaints) == ([file.as_uri()], [])


def test_what_is_wider_than_the_window_can_be_scrolled_by_keys(opened: Open, file: Path) -> None:
    with opened(file, 390) as shown:
        region = shown.page.locator(".scroll").first
        region.focus()
        shown.page.keyboard.press("ArrowRight")
        shown.page.wait_for_function("document.activeElement.scrollLeft > 0")


def test_what_scrolls_takes_the_focus_and_has_a_name_in_every_browser(opened: Open, file: Path) -> None:
    # Chromium lets keys into what scrolls by itself; others do not.
    with opened(file) as shown:
        scrolling = shown.page.locator(".scroll, pre").all()
        assert scrolling
        for each in scrolling:
            assert (each.get_attribute("role"), each.get_attribute("tabindex")) == ("region", "0")
            assert each.get_attribute("aria-label") or each.get_attribute("aria-labelledby")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_two_look_like_one_product(opened: Open, report: Path, leaderboard: Path, scheme: str) -> None:
    looks = []
    for file in (report, leaderboard):
        with opened(file, color_scheme=scheme) as shown:
            unfold(shown.page)
            looks.append({name: look(shown.page, name) for name in ("body", "h1", "h2", "caption", "thead th", "td")})
    assert looks[0] == looks[1]


def look(page: Page, selector: str) -> dict[str, str]:
    """How the first such element is drawn."""
    names = ["color", "backgroundColor", "fontFamily", "fontSize", "fontWeight", "paddingLeft", "borderBottomColor"]
    style: dict[str, str] = page.locator(selector).first.evaluate(
        "(element, names) => { const style = getComputedStyle(element); "
        "return Object.fromEntries(names.map((name) => [name, style[name]])) }",
        names,
    )
    return style


def test_dark_is_dark(opened: Open, file: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        with opened(file, color_scheme=scheme) as shown:
            grounds.append(look(shown.page, "body")["backgroundColor"])
    assert grounds == ["rgb(255, 255, 255)", "rgb(18, 22, 27)"]
