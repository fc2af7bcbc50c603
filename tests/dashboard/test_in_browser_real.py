"""The dashboard in headless Chromium over real audits: every page, by mouse, by keyboard, on a laptop and in print.

`RECAUDIT_PICTURES=docs/images pytest tests/dashboard -k "browser_real or browser_states"` also writes the pictures of
the tour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from audited_world import Audited
from visiting import (
    IN_BROWSER,
    LAPTOP,
    focused,
    is_wider_than_its_window,
    outline,
    picture,
    press_tab_until,
    served,
    settled,
    visit,
    visitor,
)

from dashboard.settings import Settings
from dashboard.views import MODULES, PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = IN_BROWSER
EVERY = [entry for entries in (*PAGES.values(), MODULES) for entry in entries]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def site(real: Audited) -> Iterator[str]:
    with served(Settings(store=str(real.path))) as address:
        yield address


@pytest.fixture(scope="module")
def tab(browser: Browser, site: str) -> Iterator[Page]:
    with visitor(browser, site) as page:
        yield page


@pytest.fixture(scope="module")
def words(real: Audited) -> dict[str, dict[str, str]]:
    """What the address of a page has to say beside the run."""
    found = real.first("robustness", "flip_rate")
    return {"finding": {"finding": found.id}, "evidence": {"evidence": found.evidence[0]}}


@pytest.mark.parametrize("entry", EVERY, ids=lambda entry: entry.path)
def test_every_page_stands_on_a_laptop(tab: Page, site: str, real: Audited, words: Any, entry: Any) -> None:
    main = visit(tab, site, entry.path, run=real.run, **words.get(entry.path, {}))
    assert main.locator("[data-testid=stException]").count() == 0
    assert main.locator("[data-testid=stAlertContentError]").count() == 0
    main.locator(".recaudit").first.wait_for()
    assert not is_wider_than_its_window(tab)
    picture(tab, entry.path)


def test_a_run_in_progress_says_so(tab: Page, site: str, real: Audited) -> None:
    main = visit(tab, site, "overview", run=real.running)
    assert re.search(r"This run is going on: [\d,]+ queries asked", main.inner_text())
    picture(tab, "running")


def shaded(main: Locator) -> Locator:
    """The cells of the grids of attacks by defenses."""
    return main.locator("figure.heated td.heat")


def test_the_grid_of_attacks_and_defenses_has_colours_and_a_legend(tab: Page, site: str, real: Audited) -> None:
    main = visit(tab, site, "robustness", run=real.run)
    cells = shaded(main)
    cells.first.wait_for()
    assert cells.count() >= 8
    looks = cells.evaluate_all("cells => cells.map(c => getComputedStyle(c).backgroundColor)")
    assert len(set(looks)) >= 2, "values that differ are seen to"
    keys = main.locator("figure.heated .shades li")
    told = keys.evaluate_all("keys => keys.map(k => getComputedStyle(k).backgroundColor)")
    assert set(looks) <= set(told), "the legend has every colour of the grid"
    main.locator("figure.heated").first.scroll_into_view_if_needed()
    picture(tab, "defenses")


def test_a_cell_of_the_grid_leads_to_its_finding_by_mouse_and_keyboard(tab: Page, site: str, real: Audited) -> None:
    main = visit(tab, site, "robustness", run=real.run)
    cell = shaded(main).nth(1)
    leads_to = cell.locator("a").get_attribute("href")
    assert leads_to
    size = cell.bounding_box()
    assert size
    cell.click(position={"x": 4, "y": size["height"] - 4})  # Anywhere in the cell, not only on the number.
    tab.wait_for_url(f"**/{leads_to}")
    assert "utility left" in settled(tab).locator("h1").inner_text()
    visit(tab, site, "robustness", run=real.run)
    tab.locator("h1").first.click()
    press_tab_until(tab, leads_to, most=200)
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**/{leads_to}")


def test_what_a_promise_costs_is_set_beside_the_run_without_one(tab: Page, site: str, real: Audited) -> None:
    main = visit(tab, site, "privacy", run=real.run)
    plot = main.get_by_role("img", name="against the ε promised")
    told = str(plot.get_attribute("aria-label"))
    assert "invented-films: ε = 1," in told
    assert "invented-films: no promise," in told
    main.get_by_role("heading", name="What the promise costs").scroll_into_view_if_needed()
    picture(tab, "price")


def test_by_keyboard_from_the_overview_to_the_evidence(tab: Page, site: str, real: Audited) -> None:
    visit(tab, site, "overview", run=real.run)
    tab.locator("h1").first.click()
    press_tab_until(tab, "finding?")
    assert outline(tab) != "none", "one sees where one is"
    while "finding?" in focused(tab) and not _has_evidence(real, focused(tab)):
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/finding?**")
    settled(tab).locator("h1").click()
    press_tab_until(tab, "evidence?")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/evidence?**")
    settled(tab).get_by_text("The request that was asked").wait_for()


def _has_evidence(real: Audited, link: str) -> bool:
    return re.search(r"finding=(\w+)", link)[1] in real.with_evidence  # type: ignore[index]  # the caller has looked


@pytest.mark.parametrize("page", ["robustness", "privacy", "explanation"])
def test_every_plot_is_taken_away_as_a_picture(tab: Page, site: str, real: Audited, page: str) -> None:
    main = visit(tab, site, page, run=real.run)
    buttons = {kind: main.get_by_role("button", name=kind, exact=True) for kind in ("SVG", "PNG")}
    buttons["SVG"].first.wait_for()
    assert buttons["SVG"].count() == buttons["PNG"].count() == main.locator(".recaudit figure.curves > svg").count()
    for kind, begins in (("SVG", b"<svg"), ("PNG", PNG)):
        with tab.expect_download() as saved:
            buttons[kind].last.click()
        assert saved.value.suggested_filename.endswith(f".{kind.lower()}")
        content = Path(saved.value.path()).read_bytes()
        assert content.startswith(begins)
        assert len(content) > 1000


def test_the_findings_of_a_module_are_taken_away_as_csv(tab: Page, site: str, real: Audited) -> None:
    main = visit(tab, site, "robustness", run=real.run)
    with tab.expect_download() as saved:
        main.get_by_role("button", name="CSV").click()
    assert saved.value.suggested_filename == f"robustness-{real.run}.csv"
    assert "attack=genetic" in Path(saved.value.path()).read_text("utf-8")


@pytest.mark.parametrize("page", ["overview", "robustness", "evidence"])
def test_in_print_the_whole_page_is_there(tab: Page, site: str, real: Audited, words: Any, page: str) -> None:
    visit(tab, site, page, run=real.run, **words.get(page, {}))
    shown = tab.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    tab.emulate_media(media="print")
    tall = tab.evaluate("document.documentElement.scrollHeight")
    # While print is emulated: a PDF takes the medium that was asked for last.
    sheets = len(re.findall(rb"/Type\s*/Page\b", tab.pdf(format="A4", print_background=True)))
    tab.emulate_media(media="screen")
    assert tall > 0.7 * shown, "nothing is cut at the window's end"
    assert sheets >= (2 if tall > 1.5 * LAPTOP["height"] else 1)
