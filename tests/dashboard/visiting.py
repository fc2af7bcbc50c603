"""The dashboard as a visitor meets it: served in a process of its own, and opened in headless Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from dashboard import place
from dashboard.settings import PREFIX, Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
IN_BROWSER = [
    # One after the other: they are the heaviest of all tests.
    pytest.mark.xdist_group("dashboard"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium; install your system's package 'chromium'"),
]
PATIENCE = 60_000
"""Milliseconds that a busy machine may take to draw."""
LAPTOP = {"width": 1280, "height": 800}


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The dashboard, listening; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    outer = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    command = [sys.executable, "-m", "dashboard", "--port", str(port)]
    with subprocess.Popen(command, env={**outer, **settings.to_environment()}) as server:
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


@contextmanager
def visitor(browser: Browser, site: str) -> Iterator[Page]:
    """One tab; whatever any page asked of another host, or said in a dialog or an error, fails at the end."""
    page = browser.new_page(viewport=LAPTOP, locale="en-GB")  # type: ignore[arg-type]  # a plain mapping
    page.set_default_timeout(PATIENCE)
    asked: list[str] = []
    acted: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (acted.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: acted.append(str(error)))
    yield page
    page.close()
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
    tab.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    main.locator("h1, [data-testid=stAlert]").first.wait_for()
    return main


def is_wider_than_its_window(tab: Page) -> bool:
    """Whether anything but a table that scrolls by itself reaches beyond the right edge."""
    found: bool = tab.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth > m.clientWidth + 1; }"
    )
    return found


def focused(tab: Page) -> str:
    """Where the link leads that the keyboard is on; empty where it is on no link."""
    return str(tab.evaluate(f"() => {{ {_FOCUSED} return at?.getAttribute('href') ?? ''; }}"))


def outline(tab: Page) -> str:
    """How it is shown where the keyboard is: the style of the outline."""
    return str(tab.evaluate(f"() => {{ {_FOCUSED} return getComputedStyle(at).outlineStyle; }}"))


_FOCUSED = "let at = document.activeElement; while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;"


def press_tab_until(tab: Page, leads_to: str, *, most: int = 120) -> None:
    """Go on from element to element until one leads there.

    Args:
        tab: that is looked at.
        leads_to: part of an address.
        most: steps before the test fails.
    """
    for _ in range(most):
        tab.keyboard.press("Tab")
        if leads_to in focused(tab):
            return
    pytest.fail(f"nothing that leads to {leads_to!r} was reached in {most} steps")


def picture(tab: Page, name: str) -> None:
    """A picture for the tour, where `RECAUDIT_PICTURES` names a folder for them."""
    if folder := os.environ.get("RECAUDIT_PICTURES"):
        tab.mouse.move(LAPTOP["width"] - 2, LAPTOP["height"] - 2)  # On nothing that would show it.
        tab.wait_for_timeout(1500)
        path = Path(folder) / f"dashboard-{name}.png"
        tab.screenshot(path=path)
        _smaller(path)


def _smaller(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < 200_000, f"{path.name} is too large for a page of documentation"
