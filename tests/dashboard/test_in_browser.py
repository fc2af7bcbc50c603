"""The dashboard in headless Chromium, over a made-up store with something on every page, and something hostile."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dashboard_world import RAW, World
from visiting import IN_BROWSER, PATIENCE, is_wider_than_its_window, served, settled, visit, visitor

from dashboard.settings import Settings
from dashboard.views import MODULES, PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = IN_BROWSER
EVERY = [entry for entries in (*PAGES.values(), MODULES) for entry in entries]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def site(world_of_runs: World) -> Iterator[str]:
    with served(Settings(store=str(world_of_runs.path))) as address:
        yield address


@pytest.fixture(scope="module")
def tab(browser: Browser, site: str) -> Iterator[Page]:
    with visitor(browser, site) as page:
        yield page


@pytest.mark.parametrize("entry", EVERY, ids=lambda entry: entry.path)
def test_every_page_stands(tab: Page, site: str, world_of_runs: World, entry: Any) -> None:
    words = {"finding": world_of_runs.finding} if entry.path == "finding" else {}
    if entry.path == "evidence":
        words = {"evidence": world_of_runs.evidence}
    main = visit(tab, site, entry.path, run=world_of_runs.run, **words)
    assert main.locator("[data-testid=stException]").count() == 0
    assert main.locator("[data-testid=stAlertContentError]").count() == 0
    main.locator(".recaudit").first.wait_for()
    assert tab.get_by_role("dialog").count() == 0


def test_two_clicks_from_the_overview_to_a_raw_answer(tab: Page, site: str, world_of_runs: World) -> None:
    visit(tab, site, "overview", run=world_of_runs.run)
    tab.locator(f'a[href*="finding={world_of_runs.finding}"]').first.click()
    tab.wait_for_url("**/finding?**")
    settled(tab)
    tab.locator(f'a[href*="evidence={world_of_runs.evidence}"]').first.click()
    tab.wait_for_url("**/evidence?**")
    main = settled(tab)
    main.get_by_text(RAW.splitlines()[1]).first.wait_for(state="attached")
    main.get_by_text("Jaws (1975)").first.wait_for(state="attached")  # The edit.
    assert main.locator("mark.z-platform").count() > 0, "the prompt says who writes which part"


def test_a_link_to_a_finding_can_be_sent(browser: Browser, site: str, world_of_runs: World) -> None:
    with browser.new_context() as stranger:
        page = stranger.new_page()
        page.set_default_timeout(PATIENCE)
        main = visit(page, site, "finding", run=world_of_runs.earlier, finding=world_of_runs.finding)
        assert "Popular items added" in main.locator("h1").inner_text()


def test_the_first_page_opens_under_its_name_too(tab: Page, site: str, world_of_runs: World) -> None:
    tab.goto(f"{site}/overview?run={world_of_runs.earlier}")
    main = settled(tab)
    assert main.locator("h1").inner_text() == "Overview"
    assert f"run={world_of_runs.earlier}" in tab.url
    assert tab.get_by_role("dialog").count() == 0


def test_two_runs_side_by_side(tab: Page, site: str, world_of_runs: World) -> None:
    main = visit(tab, site, "compare", run=world_of_runs.run)
    main.locator("table.findings").first.wait_for()
    assert world_of_runs.earlier in tab.url
    assert "better" in main.inner_text()


def test_a_table_is_taken_away_as_csv(tab: Page, site: str, world_of_runs: World) -> None:
    main = visit(tab, site, "overview", run=world_of_runs.run)
    with tab.expect_download() as saved:
        main.get_by_role("button", name="CSV").first.click()
    assert saved.value.suggested_filename == f"findings-{world_of_runs.run}.csv"
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text("utf-8"), newline="")))
    assert len(rows) > 100
    (popular,) = [r for r in rows if r["Finding"].startswith("Popular items added: clean hits")]
    assert float(popular["Effect"]) == pytest.approx(0.38)


def test_a_script_in_a_title_is_only_read(tab: Page, site: str, world_of_runs: World) -> None:
    words = {"finding": world_of_runs.hostile, "evidence": world_of_runs.evidence}
    for page in ("finding", "evidence", "quality"):
        main = visit(tab, site, page, run=world_of_runs.run, **words)
        main.get_by_text("<script>window.pwned=1</script>").first.wait_for(state="attached")
        assert main.locator("script, img[src=x], .recaudit img, a[href*=evil]").count() == 0
        assert tab.evaluate("window.pwned") is None


@pytest.mark.parametrize("page", ["finding", "quality"])
def test_a_very_long_name_is_broken_and_not_the_page(tab: Page, site: str, world_of_runs: World, page: str) -> None:
    main = visit(tab, site, page, run=world_of_runs.run, finding=world_of_runs.long)
    main.get_by_text("Loooo").first.wait_for(state="attached")
    assert not is_wider_than_its_window(tab)


def test_a_run_in_progress_says_so(tab: Page, site: str, world_of_runs: World) -> None:
    main = visit(tab, site, "overview", run=world_of_runs.running)
    assert "This run is going on" in main.inner_text()


def test_in_print_the_menu_is_gone(tab: Page, site: str, world_of_runs: World) -> None:
    main = visit(tab, site, "overview", run=world_of_runs.run)
    tab.emulate_media(media="print")
    try:
        assert not tab.locator("[data-testid=stSidebar]").is_visible()
        assert not main.get_by_role("button", name="CSV").first.is_visible()
        main.locator(".verdict").first.wait_for(state="visible")
    finally:
        tab.emulate_media(media="screen")
