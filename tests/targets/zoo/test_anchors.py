from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import rankdata

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.data.splits import leave_one_out
from audit.target import describe
from audit.targets.zoo.anchors import Anchor, fingerprint
from audit.targets.zoo.protocol import gains, hits, leave_one_out_ranks
from audit.types import Catalog, Event, Item, Request, User

CATALOG = Catalog(Item(name, name.upper()) for name in "abcdef")
STRANGER = Item("z", "Z")


class Fixed(Anchor):
    """Scores items 5, 3, 3, 1, 0, -2, whatever the history."""

    def __init__(self) -> None:
        super().__init__("fixed", CATALOG, "0")

    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        return np.tile([5.0, 3.0, 3.0, 1.0, 0.0, -2.0], (len(histories), 1))


def ask(history: str = "", candidates: str | None = None, k: int = 3, **options: object) -> Request:
    items = {**CATALOG, "z": STRANGER}
    offered = None if candidates is None else tuple(items[i] for i in candidates)
    return Request(User("u", tuple(Event(items[i]) for i in history)), candidates=offered, k=k, **options)


@pytest.mark.parametrize(
    ("request_", "ids"),
    [
        (ask(), "abc"),
        (ask(history="az"), "bcd"),  # seen items go, unknown ones do not matter
        (ask(history="abcd"), "ef"),  # fewer than k are left
        (ask(candidates="fzcb"), "bcf"),  # ties by catalogue order, unknown last
        (ask(candidates="bczf"), "bcf"),
        (ask(history="b", candidates="db"), "bd"),  # a listed item may be recommended again
        (ask(candidates=""), ""),
    ],
)
def test_rank(request_: Request, ids: str) -> None:
    answer = Fixed().recommend([request_])[0]
    assert answer.outcome == "ok"
    assert answer.ids == tuple(ids)
    assert [entry.title for entry in answer.ranked] == [i.upper() for i in ids]
    assert list(answer.scores) == sorted(answer.scores, reverse=True)


def test_score_answers_each_candidate_in_its_place() -> None:
    answer = Fixed().recommend([ask(candidates="fza", task="score")])[0]
    assert answer.ids == ("f", "z", "a")
    assert answer.scores == (-2.0, -3.0, 5.0)


def test_what_it_cannot_do_is_said() -> None:
    text, whole = Fixed().recommend([ask(task="answer", candidates="a"), ask(task="score")])
    assert (text.outcome, whole.outcome) == ("error", "error")
    assert "writes no text" in text.detail
    assert "score needs candidates" in whole.detail
    assert Fixed().recommend([]) == []


def test_info_and_fingerprint() -> None:
    assert describe(Fixed()).tasks == ("rank", "score")
    one = fingerprint("x", CATALOG, np.zeros(3))
    assert one == fingerprint("x", CATALOG, np.zeros(3))
    assert one != fingerprint("x", CATALOG, np.ones(3))
    assert one != fingerprint("y", CATALOG, np.zeros(3))
    assert one != fingerprint("x", Catalog([*CATALOG.items_in_order][::-1]), np.zeros(3))


@pytest.mark.parametrize("part", ["valid", "test"])
def test_ranks_equal_scipys_mean_ranks(world: Dataset, part: str) -> None:
    rng = np.random.default_rng(5)
    table = {user: rng.integers(0, 9, len(world.catalog)).astype(float) for user in world.user_ids}  # many ties
    order = iter(world.user_ids)
    ranks = leave_one_out_ranks(lambda batch: np.stack([table[next(order)] for _ in batch]), world, part)
    split = leave_one_out(world)
    for user, rank in ranks.items():
        target = (split.valid if part == "valid" else split.test)[user]
        kept = [i for i in range(len(world.catalog)) if i == target or i not in set(split.context(user, part))]
        assert rank == rankdata([-table[user][i] for i in kept])[kept.index(target)]


def test_hits_and_gains() -> None:
    ranks = {"u": 1.0, "v": 3.0, "w": 11.0}
    assert hits(ranks, 10).tolist() == [1, 1, 0]
    assert gains(ranks, 10).tolist() == [1, 0.5, 0]
