"""The stores that tests of the dashboard read: a made-up one, one of real audits, an empty one; and a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path += [str(Path(__file__).parents[1] / "report")]

from audited_world import Audited, audited
from dashboard_world import World, fill
from visiting import CHROMIUM

from audit.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def world_of_runs(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two finished runs with evidence and one in progress. Shared: only read it."""
    path = tmp_path_factory.mktemp("dashboard") / "runs.sqlite"
    with Store(path) as store:
        return fill(store, path)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Three real audits of a target with planted flaws, one of them cut short. Shared: only read it."""
    return audited(tmp_path_factory.mktemp("audited"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not of the whole session: while it is open, its thread has a running event loop."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty.sqlite"
    Store(path).close()
    return path
