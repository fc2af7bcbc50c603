"""Where controls are planted: an invented world of films and users, and a recommender that is right in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from audit.controls.wrapping import chance
from audit.data.dataset import Dataset
from audit.target import Input, TargetInfo
from audit.types import Answer, AttributeValue, Catalog, Item, Ranked, Request

GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Western")
FIRST = tuple("Amber Broken Crimson Distant Electric Frozen Golden Hidden Iron Jade Lonely Midnight".split())
SECOND = tuple("Anchor Bridge Castle Desert Empire Forest Garden Harbor Island Journey".split())

INSTRUCTION = "Please rank these films for me, the best first."
"""What `Ideal` publishes as its wording; it does not read it, but what is planted into it may."""


def invented(seed: int = 0, users: int = 50) -> Dataset:
    """120 films of six genres, 20 each, and users who like two genres and mostly walk through them film by film.

    There is something to learn for a sequence model (the next film of the walk), for a matrix model (the genres) and
    for a yes/no model (films outside the user's genres are rated 1 or 2, those inside 4 or 5).

    Args:
        seed: of all draws.
        users: how many; every second one is a woman, ages are even from 18 to 69.
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
    ids, rows = list(catalog), []
    people: dict[str, dict[str, AttributeValue]] = {}
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


class Ideal:
    """Names the user's true next item first, as long as it is shown their history; the rest stands in an order by lot.

    So every list of the clean twin is a hit with NDCG 1, and what a flaw takes away is known. It heeds neither words,
    nor places of candidates, nor attributes, and counts a history as the user's own while most of its events are: a few
    changed events do not confuse it. Without it the whole list is in an order by lot.

    Args:
        dataset: whose users it knows.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._items = dataset.catalog.items_in_order
        self._past = {user: [self._items[i].id for i in seen] for user, seen in dataset.sequences.items()}
        self.info = TargetInfo(
            name="ideal", honours=frozenset({Input.HISTORY}), instructions={"rank": INSTRUCTION}, fingerprint=None
        )

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """The next item first."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Answer:
        user = request.user.id
        own = self._past.get(user, [])
        shown = [event.item.id for event in request.user.history]
        known = bool(own) and bool(shown) and 2 * len(set(own).intersection(shown)) > len(set(shown))
        had = set(shown)
        offered = request.candidates if request.candidates is not None else self._items
        pool = [item for item in offered if request.candidates is not None or item.id not in had]

        def rank(item: Item) -> float:
            return -1.0 if known and item.id == own[-1] else chance("ideal", user, item.id)

        return Answer(tuple(Ranked(item.id, item.title) for item in sorted(pool, key=rank)[: request.k]))
