"""In Chromium, what is not a full store: an empty one, a broken one, none, and a target that visitors may ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from audited_world import Audited
from visiting import IN_BROWSER, picture, served, settled, visit, visitor

from dashboard.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = IN_BROWSER


@contextmanager
def opened(browser: Browser, store: Path, **more: str) -> Iterator[tuple[str, Page]]:
    with served(Settings(store=str(store), **more)) as site, visitor(browser, site) as tab:
        yield site, tab


def told(main: Locator) -> str:
    """The one thing that the page says; nothing on it is an error of Streamlit."""
    assert main.locator("[data-testid=stException]").count() == 0
    return main.locator("[data-testid=stAlert]").inner_text()


def test_an_empty_store_says_how_to_begin(browser: Browser, empty: Path) -> None:
    with opened(browser, empty) as (site, tab):
        for page in ("overview", "robustness"):
            said = told(visit(tab, site, page))
            assert "holds no runs yet" in said
            assert "recaudit run audit.yaml" in said
        picture(tab, "empty")


def test_a_broken_store_is_one_sentence(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "broken.sqlite"
    path.write_bytes(b"not a database " * 400)
    with opened(browser, path) as (site, tab):
        said = told(visit(tab, site, "overview"))
        assert "broken" in said
        assert "Traceback" not in tab.content()
        # The first word is the name of the sign in front of the sentence.
        [sentence] = [line for line in said.splitlines() if line.strip() not in {"", "error"}]
        assert sentence.startswith("--store: ")


@pytest.fixture(scope="module")
def asking(browser: Browser, real: Audited) -> Iterator[tuple[str, Page]]:
    with opened(browser, real.path, live=str(real.config)) as (site, tab):
        yield site, tab


def test_a_visitor_asks_the_target_and_sees_what_moves_it(asking: tuple[str, Page]) -> None:
    site, tab = asking
    main = visit(tab, site, "try")
    assert "nothing that is asked here is stored" in main.inner_text()
    box = main.get_by_role("textbox").first
    box.fill("Amber Anchor (1970)\namber bridge\nNo Such Film At All (1901)\nCrimson Castle (1992)")
    main.get_by_text("Ask again without each title").click()
    main.get_by_role("button", name="Ask", exact=True).click()
    main.get_by_role("heading", name="What moved it").wait_for()
    settled(tab)
    assert "“No Such Film At All (1901)” is left out: no item of the catalogue" in main.inner_text()
    listed = main.locator(".recaudit .reply ol").first.locator("li")
    assert listed.count() == 5
    main.get_by_role("heading", name="What it says").scroll_into_view_if_needed()
    picture(tab, "try")


def test_a_hostile_title_asks_nothing_and_does_nothing(asking: tuple[str, Page]) -> None:
    site, tab = asking
    main = visit(tab, site, "try")
    main.get_by_role("textbox").first.fill("<img src=x onerror=window.pwned=1> [click](https://evil.invalid)")
    main.get_by_role("button", name="Ask", exact=True).click()
    main.get_by_text("type at least one title of the catalogue").wait_for()
    assert "<img src=x onerror=window.pwned=1> [click]" in main.inner_text()
    assert main.locator("img[src=x], a[href*=evil]").count() == 0
    assert tab.evaluate("window.pwned") is None


def test_without_a_target_there_is_no_such_page(browser: Browser, empty: Path) -> None:
    with opened(browser, empty) as (site, tab):
        visit(tab, site, "overview")
        assert tab.locator("[data-testid=stSidebarNav]").get_by_text("Try it").count() == 0
