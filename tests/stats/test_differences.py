"""The difference of two estimates whose samples are gone."""

from __future__ import annotations

import pytest

from audit.stats import Interval, wilson
from audit.stats.differences import independent_difference, z_test


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, Table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
    ],
)
def test_rates_have_the_published_interval(a: tuple[int, int], b: tuple[int, int], low: float, high: float) -> None:
    found = independent_difference(wilson(*a), wilson(*b))
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


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
