"""The search against brute force: what it calls minimal is, what it finds changes the answer, and budgets hold."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.modules.explanation.counterfactual_search import Found, Seen, search


def played(n, changes, evaluations=256, lead=lambda gone: 1.0):
    """The search on a rule; returns how it ended and what it asked."""
    asked = []
    going = search(n, rivals(lead(frozenset())), evaluations)
    batch = next(going)
    while True:
        asked += batch
        try:
            batch = going.send([Seen(changes(one), rivals(lead(one))) for one in batch])
        except StopIteration as end:
            return end.value, asked


def rivals(leads):
    return np.atleast_1d(np.array(leads, dtype=np.float64))


def smallest(n, changes):
    return next((s for s in range(1, n + 1) for one in combinations(range(n), s) if changes(frozenset(one))), None)


def test_a_single_cause_is_found_and_minimal():
    found, asked = played(6, lambda gone: 3 in gone)
    assert (found.removed, found.minimal, found.tried) == (frozenset({3}), True, 6)
    assert len(asked) == 6


def test_two_causes_that_do_for_each_other_need_a_pair():
    found, _ = played(10, lambda gone: {2, 7} <= gone)
    assert (found.removed, found.minimal) == (frozenset({2, 7}), True)


def test_a_larger_set_is_pruned_and_proven_where_the_budget_reaches():
    found, _ = played(7, lambda gone: {0, 2, 4, 6} <= gone)
    assert (found.removed, found.minimal) == (frozenset({0, 2, 4, 6}), True)
    found, asked = played(30, lambda gone: {0, 9, 14, 22} <= gone, lead=lambda gone: 4.0 - len(gone & {0, 9, 14, 22}))
    assert (found.removed, found.minimal) == (frozenset({0, 9, 14, 22}), False)
    assert len(asked) <= 256


def test_a_target_that_ignores_it_is_said_to_by_all_sets_or_within_the_budget():
    found, asked = played(5, lambda gone: False)
    assert (found.removed, found.minimal, len(asked)) == (None, True, 31)
    found, asked = played(40, lambda gone: False, evaluations=100)
    assert (found.removed, found.minimal) == (None, False)
    assert len(asked) <= 100


def test_an_answer_that_cannot_be_read_is_no_change_and_no_proof():
    found, _ = played(3, lambda gone: None if gone == {0} else {1, 2} <= gone)
    assert (found.removed, found.minimal, found.unread) == (frozenset({1, 2}), False, 1)


@pytest.mark.parametrize("n", [1, 2, 200])
def test_histories_of_any_length(n):
    found, asked = played(n, lambda gone: n - 1 in gone, evaluations=300)
    assert found.removed == frozenset({n - 1})
    assert len(asked) == n
    found, asked = played(n, lambda gone: False, evaluations=60)
    assert found.removed is None
    assert len(set(asked)) == len(asked) <= 60


def test_without_any_rival_in_sight_it_still_searches():
    found, _ = played(3, lambda gone: len(gone) == 3, evaluations=10, lead=lambda gone: [])
    assert isinstance(found, Found)
    assert (found.removed, found.minimal) == (frozenset({0, 1, 2}), True)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_against_brute_force(data):
    n = data.draw(st.integers(1, 7))
    causes = data.draw(st.lists(st.frozensets(st.integers(0, n - 1), min_size=1), max_size=3))
    weights = data.draw(st.lists(st.floats(-1, 1), min_size=n, max_size=n))
    evaluations = data.draw(st.sampled_from((1, 3, 10, 40, 128)))

    def changes(gone):
        return any(cause <= gone for cause in causes)

    found, asked = played(n, changes, evaluations, lead=lambda gone: 1.0 - sum(weights[i] for i in gone))
    assert len(set(asked)) == len(asked) <= evaluations
    size = smallest(n, changes)
    if found.removed is not None:
        assert changes(found.removed)
    if found.minimal:
        assert (len(found.removed) if found.removed is not None else None) == size
    if evaluations >= 128:
        assert found.minimal
