"""The reference runs of the sheet (2.1) on MovieLens-100K: popularity and ItemKNN on every user's last ten films."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from helpers import Scripted, gateway

from audit.data.dataset import Dataset
from audit.modules.base import Context
from audit.store import Store
from audit.types import Answer, Case, Event, Ranked, Request, User

HELD_OUT, K = 10, 10

Split = Mapping[str, tuple[np.ndarray, np.ndarray]]


def split_of(dataset: Dataset) -> Split:
    """By user, the items before and among the last ten; events of one second are ordered by the number of the film."""
    frame = dataset.interactions
    order = np.lexsort((frame["item"].astype(int), frame["time"]))
    items = frame["item"].map(dataset.index).to_numpy()[order]
    users = frame["user"].to_numpy()[order]
    rows = {user: items[users == user] for user in dataset.user_ids}
    return {user: (one[:-HELD_OUT], one[-HELD_OUT:]) for user, one in rows.items()}


def scores(seen: np.ndarray, name: str) -> np.ndarray:
    """(users, items) of a reference recommender fitted on what was seen."""
    if name == "MostPop":
        return np.tile(seen.sum(axis=0), (len(seen), 1))
    norm = np.sqrt(np.maximum(seen.sum(axis=0), 1.0))
    similar = seen.T @ seen / np.outer(norm, norm)
    np.fill_diagonal(similar, 0.0)
    return seen @ similar


def reference_context(name: str, dataset: Dataset, folder: Path) -> Context:
    """Every user under audit, answered by a reference recommender."""
    split, items = split_of(dataset), dataset.catalog.items_in_order
    seen = np.zeros((len(split), len(items)))
    for row, (past, _) in enumerate(split.values()):
        seen[row, past] = 1.0
    listed = np.argsort(np.where(seen > 0, np.inf, -scores(seen, name)), axis=1, kind="stable")[:, :K]
    answers = {
        user: Answer(tuple(Ranked(items[i].id, items[i].title) for i in row))
        for user, row in zip(split, listed, strict=True)
    }
    cases = [
        Case(
            f"u{user}",
            Request(User(user, tuple(Event(items[i]) for i in past)), k=K),
            relevant=frozenset(items[i].id for i in test),
        )
        for user, (past, test) in split.items()
    ]
    door = gateway(Scripted(lambda asked: answers[asked.user.id]), Store(folder / "s.sqlite"))
    return Context(door, dataset, "rank", cases, seed=7)
