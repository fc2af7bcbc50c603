"""A made-up store that all tests of the dashboard read, and the dashboard called in this process or served."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / "report")]

from dashboard_world import World, fill

from audit.store import Store


@pytest.fixture(scope="session")
def world_of_runs(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two finished runs with evidence and one in progress. Shared: only read it."""
    path = tmp_path_factory.mktemp("dashboard") / "runs.sqlite"
    with Store(path) as store:
        return fill(store, path)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty.sqlite"
    Store(path).close()
    return path
