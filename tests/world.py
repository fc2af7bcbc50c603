"""A tiny invented world of films and users in which there is something to learn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from audit.data.dataset import Dataset
from audit.types import Catalog, Item

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
