"""The dashboard as a visitor meets it: served, and opened in headless Chromium.

`RECAUDIT_PICTURES=docs/images pytest tests/dashboard/test_in_browser.py` also writes the pictures of the tour.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from dashboard_world import RAW, World

from dashboard import place
from dashboard.settings import Settings
from dashboard.views import MODULES, PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    # One server and one browser for all of them.
    pytest.mark.xdist_group("dashboard"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium; install your system's package 'chromium'"),
]
EVERY = [entry for entries in (*PAGES.values(), MODULES) for entry in entries]
PATIENCE = 60_000
"""Milliseconds that a busy machine may take to draw."""
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def site(world_of_runs: World) -> Iterator[str]:
    """The dashboard over the made-up store, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    environment = {**os.environ, **Settings(store=str(world_of_runs.path)).to_environment()}
    command = [sys.executable, "-m", "dashboard", "--port", str(port)]
    with subprocess.Popen(command, env=environment) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, server)
            yield address
        finally:
            server.terminate()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None, "the dashboard ended before it listened"
        try:
            if httpx.get(f"{address}/_stcore/health", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail("the dashboard does not listen")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def tab(browser: Browser, site: str) -> Iterator[Page]:
    """One visitor; whatever any page asked of another host, or said in a dialog or an error, fails at the end."""
    page = browser.new_page(viewport={"width": 1360, "height": 900}, locale="en-GB")
    page.set_default_timeout(PATIENCE)
    asked: list[str] = []
    acted: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (acted.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: acted.append(str(error)))
    yield page
    foreign = [url for url in asked if not url.startswith((site, "data:", "blob:", site.replace("http", "ws", 1)))]
    assert foreign == []
    assert acted == []


def visit(tab: Page, site: str, page: str, **words: str) -> Locator:
    """Open an address afresh and wait until it stands."""
    tab.goto(f"{site}/{place.link(page, **words)}")
    return settled(tab)


def settled(tab: Page) -> Locator:
    """The main part of the page, once the script that draws it has come to its end."""
    main = tab.locator("[data-testid=stMain]")
    main.locator("h1").first.wait_for()
    tab.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    return main


def picture(tab: Page, name: str) -> None:
    """A picture for the tour, where one is wanted."""
    if folder := os.environ.get("RECAUDIT_PICTURES"):
        tab.wait_for_timeout(1500)
        path = Path(folder) / f"dashboard-{name}.png"
        tab.screenshot(path=path)
        _smaller(path)


def _smaller(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.convert("RGB").quantize(128).save(path, optimize=True)
    assert path.stat().st_size < 150_000, f"{path.name} is too large for a page of documentation"


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
    picture(tab, entry.path)


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


def test_a_picture_is_taken_away(tab: Page, site: str, world_of_runs: World) -> None:
    main = visit(tab, site, "robustness", run=world_of_runs.run)
    for kind, begins in (("SVG", b"<svg"), ("PNG", PNG)):
        with tab.expect_download() as saved:
            main.get_by_role("button", name=kind, exact=True).first.click()
        assert saved.value.suggested_filename.endswith(f".{kind.lower()}")
        content = Path(saved.value.path()).read_bytes()
        assert content.startswith(begins)
        assert len(content) > 1000


def test_a_script_in_a_title_is_only_read(tab: Page, site: str, world_of_runs: World) -> None:
    words = {"finding": world_of_runs.hostile, "evidence": world_of_runs.evidence}
    for page in words:
        main = visit(tab, site, page, run=world_of_runs.run, **words)
        main.get_by_text("<script>window.pwned=1</script>").first.wait_for(state="attached")
        assert main.locator("script, img[src=x], .recaudit img, a[href*=evil]").count() == 0
        assert tab.evaluate("window.pwned") is None


def test_the_keyboard_reaches_a_finding_and_opens_it(tab: Page, site: str, world_of_runs: World) -> None:
    visit(tab, site, "overview", run=world_of_runs.run)
    tab.locator("h1").first.click()
    for _ in range(80):
        tab.keyboard.press("Tab")
        if "finding?" in str(tab.evaluate(_FOCUSED)):
            break
    else:
        pytest.fail("no finding was reached in 80 steps")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/finding?**")
    assert settled(tab).locator("h1").inner_text() != "Finding"


_FOCUSED = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at?.getAttribute("href") ?? "";
}"""


def test_a_run_in_progress_says_so(tab: Page, site: str, world_of_runs: World) -> None:
    main = visit(tab, site, "overview", run=world_of_runs.running)
    assert "This run is going on" in main.inner_text()
    picture(tab, "running")


def test_in_print_the_menu_is_gone(tab: Page, site: str, world_of_runs: World) -> None:
    main = visit(tab, site, "overview", run=world_of_runs.run)
    tab.emulate_media(media="print")
    try:
        assert not tab.locator("[data-testid=stSidebar]").is_visible()
        assert not main.get_by_role("button", name="CSV").first.is_visible()
        main.locator(".verdict").first.wait_for(state="visible")
    finally:
        tab.emulate_media(media="screen")
