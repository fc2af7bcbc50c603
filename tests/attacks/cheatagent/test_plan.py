"""Budgets: the paper's search where it fits, and what is given up first where it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks.cheatagent.plan import Plan, fit


def test_the_paper_costs_480_queries_behind_positioning() -> None:
    # Sheet, 1.7: 3·(k·n + T·n + n) = 3·(100 + 50 + 10); and one for the three together.
    plan = fit(481, 3, 10, 10, 5)
    assert plan == Plan(3, 10, 10, 5, True)
    assert plan.initial + 5 * plan.round + plan.closing == 481
    assert fit(100_000, 3, 10, 10, 5) == plan


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (480, Plan(3, 10, 10, 4, True)),  # rounds first
        (361, Plan(3, 10, 10, 1, True)),
        (360, Plan(3, 9, 10, 1, True)),  # then prefixes and candidates, evenly
        (25, Plan(3, 2, 2, 1, True)),
        (10, Plan(3, 1, 1, 1, True)),
        (9, Plan(3, 1, 1, 0, False)),  # then tuning altogether
        (3, Plan(2, 1, 1, 0, False)),  # then places
        (1, Plan(1, 1, 1, 0, False)),
        (0, None),
    ],
)
def test_what_is_given_up_in_a_small_budget(left: int, expected: Plan | None) -> None:
    assert fit(left, 3, 10, 10, 5) == expected


def test_without_tuning_all_goes_to_prefixes() -> None:
    assert fit(481, 3, 16, 10, 0) == Plan(3, 16, 10, 0, False)
    assert fit(1, 0, 10, 10, 5) is None


sizes = st.integers(1, 12)


@given(st.integers(0, 700), st.integers(0, 5), sizes, sizes, st.integers(0, 6))
def test_every_plan_fits(left: int, places: int, prefixes: int, candidates: int, rounds: int) -> None:
    plan = fit(left, places, prefixes, candidates, rounds)
    if plan is None:
        assert left == 0 or places == 0
        return
    assert plan.initial + plan.rounds * plan.round + plan.closing <= left
    assert 1 <= plan.places <= places
    assert min(plan.prefixes, plan.candidates) >= 1
    assert plan.last == (plan.rounds > 0)
