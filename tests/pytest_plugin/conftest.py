"""One project for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from audited_project import Project, make, opened

from audit.data.dataset import Dataset


@pytest.fixture(scope="session")
def made(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    make(folder, world)
    return folder


@pytest.fixture
def project(pytester: pytest.Pytester, made: Path) -> Iterator[Project]:
    """A copy of its own; the sessions of pytest that a test starts run in it."""
    shutil.copytree(made, pytester.path, dirs_exist_ok=True)
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    found = opened(pytester.path)
    yield found
    found.run.store.close()
