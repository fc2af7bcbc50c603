"""The reference runs of the sheet (2.1) on MovieLens-100K: popularity and ItemKNN, audited by the part itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from helpers import Scripted, gateway

from audit import stats
from audit.data.dataset import Dataset
from audit.modules.base import Context
from audit.modules.fairness.exposure import Exposure
from audit.modules.fairness.exposure.spread import tail_of
from audit.store import Store
from audit.types import Answer, Case, Event, Ranked, Request, User

HELD_OUT, K = 10, 10

Split = Mapping[str, tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def split(ml100k: Dataset) -> Split:
    """By user, the items before and among the last ten; events of one second are ordered by the number of the film."""
    frame = ml100k.interactions
    order = np.lexsort((frame["item"].astype(int), frame["time"]))
    items = frame["item"].map(ml100k.index).to_numpy()[order]
    users = frame["user"].to_numpy()[order]
    rows = {user: items[users == user] for user in ml100k.user_ids}
    return {user: (one[:-HELD_OUT], one[-HELD_OUT:]) for user, one in rows.items()}


@pytest.fixture(scope="module")
def seen(ml100k: Dataset, split: Split) -> np.ndarray:
    """(users, items) what the training part holds."""
    found = np.zeros((len(split), len(ml100k.catalog)))
    for row, (past, _) in enumerate(split.values()):
        found[row, past] = 1.0
    return found


def scores(seen: np.ndarray, name: str) -> np.ndarray:
    if name == "MostPop":
        return np.tile(seen.sum(axis=0), (len(seen), 1))
    norm = np.sqrt(np.maximum(seen.sum(axis=0), 1.0))
    similar = seen.T @ seen / np.outer(norm, norm)
    np.fill_diagonal(similar, 0.0)
    return seen @ similar


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MostPop", {"gini": 0.986, "coverage": 0.057, "arp": 392.7, "aplt": 0.000}),
        ("ItemKNN", {"gini": 0.953, "coverage": 0.137, "arp": 290.8, "aplt": 0.004}),
    ],
)
def test_the_reference_runs_come_out_as_in_the_sheet(
    name: str, expected: Mapping[str, float], ml100k: Dataset, split: Split, seen: np.ndarray, tmp_path: Path
) -> None:
    items = ml100k.catalog.items_in_order
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
    door = gateway(Scripted(lambda asked: answers[asked.user.id]), Store(tmp_path / "s.sqlite"))
    context = Context(door, ml100k, "rank", cases, seed=7)
    output = Exposure(groups="popularity", reference="catalogue", draws=19).run(context, examples=1)
    found = {
        f.metric: f.estimate
        for f in output.findings
        if f.metric in expected and f.params["against"] in {"random lists", "history"}
    }
    assert {m: found[m] for m in ("gini", "coverage", "aplt")} == pytest.approx(
        {m: expected[m] for m in ("gini", "coverage", "aplt")}, abs=0.003
    )
    assert found["arp"] == pytest.approx(expected["arp"], abs=0.1)
    note = next(f.note for f in output.findings if f.metric == "arp")
    assert "every user is under audit" in note


def test_the_head_and_the_inequality_of_the_log_are_those_of_the_sheet(ml100k: Dataset) -> None:
    counts = np.array([ml100k.popularity[name] for name in ml100k.catalog], dtype=float)
    assert counts[~tail_of(counts, 0.2)].sum() / counts.sum() == pytest.approx(0.646, abs=0.003)
    assert stats.gini(counts) == pytest.approx(0.629, abs=0.003)
    enough = int(np.searchsorted(np.cumsum(np.sort(counts)[::-1]), 0.8 * counts.sum())) + 1
    assert enough == pytest.approx(536, abs=8)
