"""Looks: how the error is spent, and that stopping early does not raise it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from audit.stats import looks


def test_the_error_is_spent_as_obrien_and_fleming_would() -> None:
    # The spending function itself, by SciPy: a Brownian path that must exceed z at t = 1, looked at at t.
    fractions = (0.25, 0.5, 0.75, 1.0)
    made = looks(400, fractions=fractions)
    z = scipy_stats.norm.isf(0.025)
    spent = 2 * scipy_stats.norm.sf(z / np.sqrt(fractions))
    assert np.cumsum([look.alpha for look in made]) == pytest.approx(spent)
    assert [look.n for look in made] == [100, 200, 300, 400]


def test_too_early_looks_are_left_out_and_nothing_of_the_error_is_lost() -> None:
    made = looks(50, fractions=(0.25, 0.5, 1.0), smallest=30)
    assert [look.n for look in made] == [50]
    assert made[0].level == pytest.approx(0.95)


def test_stopping_at_the_first_significant_look_keeps_the_size() -> None:
    rng = np.random.default_rng(3)
    made = looks(120, fractions=(0.25, 0.5, 0.75, 1.0))
    values = rng.normal(size=(8000, 120))
    missed = np.zeros(len(values), dtype=bool)
    for look in made:
        mean = values[:, : look.n].mean(axis=1)
        missed |= np.abs(mean) > scipy_stats.norm.ppf(1 - look.alpha / 2) / np.sqrt(look.n)
    # Looking at the fixed level each time would miss in about 12 % of cases.
    assert 0.03 <= missed.mean() <= 0.055


@pytest.mark.parametrize("fractions", [(), (0.5,), (0.5, 0.5, 1.0), (0.0, 1.0), (1.0, 0.5)])
def test_fractions_must_increase_to_one(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must increase"):
        looks(100, fractions=fractions)
