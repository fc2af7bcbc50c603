"""Hoeffding's bound: the formula, its ends, and how often it fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audit.stats import clopper_pearson
from audit.stats.bounded import hoeffding


def test_it_is_the_formula() -> None:
    # The figure of the certificates' sheet: a thousand values at alpha .001.
    assert 0.9 - hoeffding(0.9, 1000, 1 - 0.001, side="lower").low == pytest.approx(0.0588, abs=5e-5)
    both = hoeffding(0.5, 100, 0.95)
    assert both.high - 0.5 == 0.5 - both.low == pytest.approx(np.sqrt(np.log(2 / 0.05) / 200))


def test_ends_are_those_of_the_range() -> None:
    assert hoeffding(0.99, 10, side="upper").as_pair()[1] == 1.0
    assert hoeffding(0.01, 10, side="lower").as_pair() == (0.0, 1.0)
    assert hoeffding(0.5, 10, side="upper").low == 0.0


def test_for_votes_it_is_no_tighter_than_clopper_pearson() -> None:
    for n in (20, 200):
        for cast in range(0, n + 1, n // 10):
            exact = clopper_pearson(cast, n, 0.99, side="lower").low
            assert hoeffding(cast / n, n, 0.99, side="lower").low <= exact + 1e-12


def test_it_covers_at_least_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    values = rng.beta(0.5, 0.5, size=(2_000, 30))
    missed = sum(hoeffding(float(row.mean()), 30, 0.9, side="lower").low > 0.5 for row in values)
    assert missed <= 200


@pytest.mark.parametrize(
    "bad", [{"n": 0}, {"mean": 1.2}, {"mean": float("nan")}, {"side": "left"}, {"level": 1.0}], ids=str
)
def test_what_cannot_be_bounded_is_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        hoeffding(**{"mean": 0.5, "n": 10, **bad})
