"""Fixtures that every test may use: a tiny world, and MovieLens-100K."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from audit.data.dataset import Dataset
from audit.types import Catalog, Item

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Western")
FIRST = ("Amber", "Broken", "Crimson", "Distant", "Electric", "Frozen")
FIRST += ("Golden", "Hidden", "Iron", "Jade", "Lonely", "Midnight")
SECOND = ("Anchor", "Bridge", "Castle", "Desert", "Empire", "Forest", "Garden", "Harbor", "Island", "Journey")


def make_world(seed: int = 0, users: int = 50) -> Dataset:
    """120 films of six genres, 20 each, and users who like two genres and mostly walk through them film by film.

    There is something to learn for a sequence model (the next film of the walk), for a matrix model (the genres) and
    for a yes/no model (films outside the user's genres are rated 1 or 2, those inside 4 or 5).
    """
    rng = np.random.default_rng(seed)
    catalog = Catalog(
        Item(
            id=str(100 + i),
            title=f"{FIRST[i // 10]} {SECOND[i % 10]} ({1970 + i % 30})",
            attributes={"year": 1970 + i % 30, "genres": (GENRES[i // 20],)},
        )
        for i in range(120)
    )
    ids, rows, people = list(catalog), [], {}
    for number in range(users):
        user = f"{number + 1:03d}"
        people[user] = {"age": int(rng.integers(18, 70)), "gender": "FM"[number % 2]}
        liked = rng.permutation(6)[:2]
        step, start = rng.permutation(20), 1000 * number
        for event in range(int(rng.integers(24, 32))):
            inside = rng.random() > 0.2
            genre = liked[event % 2] if inside else int(rng.choice(np.setdiff1d(np.arange(6), liked)))
            place = (number + event // 2) % 20 if inside else step[event % 20]
            rating = float(rng.integers(4, 6) if inside else rng.integers(1, 3))
            # Two events to the second, as in real logs, so that ties must be broken by the order of the file.
            rows.append((user, ids[genre * 20 + place], rating, float(start + 40 * (event // 2))))
    return Dataset(
        name="tiny",
        catalog=catalog,
        interactions=pd.DataFrame(rows, columns=["user", "item", "rating", "time"]),
        users=people,
        rating_scale=(1.0, 5.0),
        like_above=3.0,
    )


@pytest.fixture(scope="session")
def world() -> Dataset:
    """The tiny world: 50 users, 120 items, about 1,400 events."""
    return make_world()


@pytest.fixture(scope="session")
def ml100k() -> Dataset:
    """MovieLens-100K as published, through the asset store (fetched once into the user's cache)."""
    from audit.data.movielens import load_ml100k

    return load_ml100k()


@pytest.fixture(scope="session")
def ml100k_core(ml100k: Dataset) -> Dataset:
    """Its iterative 5-core, on which the reference figures are measured."""
    return ml100k.k_core(5)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, on one worker, what shares something expensive: the loaded model, the Ray cluster."""
    for item in items:
        if item.get_closest_marker("llm"):
            item.add_marker(pytest.mark.xdist_group("llm"))
        elif item.path.stem == "test_replicas":
            item.add_marker(pytest.mark.xdist_group("ray"))
