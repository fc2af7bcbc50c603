"""Random items in the history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import catalog, request

from attacks.random_items import RandomItems
from audit.edits import HistoryInsert, apply
from audit.target import TargetInfo
from audit.types import Event

INFO = TargetInfo("t")


def test_items_are_distinct_and_rated_as_the_user_rates() -> None:
    asked = request(history=4)
    asked = replace(asked, user=replace(asked.user, history=tuple(Event(e.item, 5.0) for e in asked.user.history)))
    edits = RandomItems(catalog(), items=6).craft(asked, INFO, frozenset(), np.random.default_rng(0))
    after = apply(edits, asked)
    assert len(edits) == 6
    assert len({e.item.id for e in after.user.history}) == 10
    assert {e.rating for e in after.user.history} == {5.0}
    # What was there keeps its order.
    kept = [e for e in after.user.history if e in asked.user.history]
    assert kept == list(asked.user.history)


def test_positions_are_uniform() -> None:
    rng = np.random.default_rng(3)
    counts = np.zeros(5)
    for _ in range(500):
        (edit,) = RandomItems(catalog(), items=1).craft(request(history=4), INFO, frozenset(), rng)
        assert isinstance(edit, HistoryInsert)
        counts[edit.position] += 1
    # Chi-squared with 4 degrees of freedom: 18.47 is its 99.9 % point.
    assert ((counts - 100) ** 2 / 100).sum() < 18.47


def test_a_catalogue_without_free_items_offers_nothing() -> None:
    attack = RandomItems(catalog(9))
    assert attack.craft(request(history=4, candidates=5), INFO, frozenset(), np.random.default_rng(0)) == ()
    assert len(attack.craft(request(history=4, candidates=4), INFO, frozenset(), np.random.default_rng(0))) == 1
    assert attack.craft(request(history=4, candidates=4), INFO, frozenset({"i8"}), np.random.default_rng(0)) == ()


def test_a_history_without_ratings_gets_none() -> None:
    asked = request(history=2)
    asked = replace(asked, user=replace(asked.user, history=tuple(Event(e.item) for e in asked.user.history)))
    after = apply(RandomItems(catalog()).craft(asked, INFO, frozenset(), np.random.default_rng(0)), asked)
    assert {e.rating for e in after.user.history} == {None}


def test_no_item_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="items: 0 must be at least 1"):
        RandomItems(catalog(), items=0)
