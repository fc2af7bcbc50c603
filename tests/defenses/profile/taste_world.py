"""A log of people with one of two tastes, and histories to judge by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from audit.data.dataset import Dataset
from audit.types import Catalog, Event, Item, Request, User

SIZE = 30
"""Items of each taste: `a0` … and `b0` …; `c0` … are the cold ones."""

CATALOG = Catalog(
    Item(f"{taste}{n}", f"{name} story {n}")
    for taste, name in zip("abc", ("War", "Love", "Odd"), strict=True)
    for n in range(SIZE)
)


def tasteful(taste: str, length: int, rng: np.random.Generator, noise: float = 0.1) -> list[str]:
    """Distinct items of one taste, the popular ones first to be drawn, some of the other taste among them."""
    weights = 1 / np.sqrt(1 + np.arange(SIZE))
    numbers = rng.choice(SIZE, size=length, replace=False, p=weights / weights.sum())
    other = {"a": "b", "b": "a"}[taste]
    return [f"{other if rng.random() < noise else taste}{n}" for n in numbers]


def log_of(histories: dict[str, Sequence[str]]) -> Dataset:
    rows = [(user, item, np.nan, float(t)) for user, items in histories.items() for t, item in enumerate(items)]
    return Dataset("tastes", CATALOG, pd.DataFrame(rows, columns=["user", "item", "rating", "time"]))


def make_log(users: int = 120, seed: int = 0, noise: float = 0.1) -> Dataset:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(8, 16, size=users)
    return log_of({f"log{u}": tasteful("ab"[u % 2], int(n), rng, noise) for u, n in enumerate(lengths)})


def ask(items: Sequence[str], user: str = "asker", **fields: object) -> Request:
    """A request with this history; an id outside the catalogue becomes an item of that name."""
    events = tuple(Event(CATALOG.get(i, Item(i, i)), 4.0, float(t)) for t, i in enumerate(items))
    return Request(User(user, events), **fields)  # type: ignore[arg-type]


def clean_requests(count: int, length: int = 10, seed: int = 1, noise: float = 0.1) -> list[Request]:
    rng = np.random.default_rng(seed)
    return [ask(tasteful("ab"[u % 2], length, rng, noise), f"new{seed}-{u}") for u in range(count)]


def ids(request: Request) -> list[str]:
    return [event.item.id for event in request.user.history]
