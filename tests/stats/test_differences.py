"""The difference of two estimates whose samples are gone."""

from __future__ import annotations

import pytest
from scipy.stats import binom

from audit.stats import Interval, wilson
from audit.stats.differences import independent_difference, z_test


@pytest.mark.parametrize(
    ("n", "p", "m", "q"), [(70, 0.8, 80, 0.6), (20, 0.9, 30, 0.5), (56, 0.09, 29, 0.03), (40, 0.3, 40, 0.3)]
)
def test_the_interval_of_two_rates_covers_as_often_as_it_says(n: int, p: float, m: int, q: float) -> None:
    # Exact coverage: every pair of outcomes, weighted by its binomial probability.
    covered = 0.0
    for x in range(n + 1):
        for y in range(m + 1):
            if independent_difference(wilson(x, n), wilson(y, m)).contains(p - q):
                covered += binom.pmf(x, n, p) * binom.pmf(y, m, q)
    assert 0.935 <= covered <= 0.985


def test_levels_must_agree() -> None:
    with pytest.raises(ValueError, match=r"0\.95 and 0\.9 differ"):
        independent_difference(wilson(1, 10), wilson(1, 10, level=0.9))


@pytest.mark.parametrize(("low", "high", "p"), [(0.0, 0.4, 0.05), (-0.1, 0.5, 0.1913), (0.1, 0.3, 0.0000888)])
def test_p_agrees_with_the_interval(low: float, high: float, p: float) -> None:
    # 2 Φ(-1.96 · 0.2 / margin), from a normal table.
    assert z_test(Interval(0.2, low, high, 0.95, "any")) == pytest.approx(p, rel=0.01)
    assert z_test(Interval(-0.2, -high, -low, 0.95, "any")) == pytest.approx(p, rel=0.01)


def test_no_difference_has_p_one() -> None:
    assert z_test(Interval(0.0, 0.0, 0.0, 0.95, "constant")) == 1.0
