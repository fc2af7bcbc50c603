"""Fixtures that every test may use: a tiny world, MovieLens-100K, and the real SmolLM2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import postgres
import pytest
from hypothesis import settings
from world import make_world

from audit.data.dataset import Dataset

if TYPE_CHECKING:
    from audit.targets.lm import CausalLM

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def world() -> Dataset:
    """The tiny world: 50 users, 120 items, about 1,400 events."""
    return make_world()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A private PostgreSQL server, started once."""
    if not postgres.installed() and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is not installed; install your system's package `postgresql` to run this test")
    with postgres.server() as started:
        yield started


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> str:
    """Its database, empty."""
    postgres.empty(postgres_server.url)
    return postgres_server.url


@pytest.fixture
def postgres_again(postgres_server: postgres.Server, postgres_url: str) -> Iterator[postgres.Server]:
    """The server itself, for a test that stops it; started again after the test."""
    yield postgres_server
    if not postgres_server.running:
        postgres_server.start()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty run store may be made: what uses it is tested on both databases."""
    if request.param == "sqlite":
        return str(tmp_path / "runs.sqlite")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def ml100k() -> Dataset:
    """MovieLens-100K as published, through the asset store (fetched once into the user's cache)."""
    from audit.data.movielens import load_ml100k

    return load_ml100k()


@pytest.fixture(scope="session")
def ml100k_core(ml100k: Dataset) -> Dataset:
    """Its iterative 5-core, on which the reference figures are measured."""
    return ml100k.k_core(5)


@pytest.fixture(scope="session")
def smollm2() -> CausalLM:
    """The real SmolLM2, loaded once, in float32: tolerances are those of the arithmetic and not of the number type."""
    from audit.targets import weights
    from audit.targets.lm import CausalLM
    from audit.targets.zoo import smollm2 as zoo

    return CausalLM.of(weights.load(zoo.folder(), dtype="float32"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, on one worker, what shares something expensive: the loaded model, the Ray cluster."""
    for item in items:
        if item.get_closest_marker("llm"):
            item.add_marker(pytest.mark.xdist_group("llm"))
        elif item.path.stem == "test_replicas":
            item.add_marker(pytest.mark.xdist_group("ray"))
