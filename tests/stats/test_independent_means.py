"""Differences of independent means, held to a published example and to simulations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from audit.stats import mean_interval
from audit.stats.independent_means import coin_test, independent_difference


def test_the_ends_are_those_of_the_paper() -> None:
    """Equation 2 of Zou and Donner, from the intervals of the two means."""
    data = np.random.default_rng(0)
    a, b = data.random(200), data.random(200) / 2
    found = independent_difference(a, b, rng=np.random.default_rng(1), bounds=(0, 1))
    rng = np.random.default_rng(1)
    one, two = mean_interval(a, rng=rng, bounds=(0, 1)), mean_interval(b, rng=rng, bounds=(0, 1))
    assert found.estimate == pytest.approx(a.mean() - b.mean())
    assert found.low == pytest.approx(found.estimate - math.hypot(a.mean() - one.low, two.high - b.mean()))
    assert found.high == pytest.approx(found.estimate + math.hypot(one.high - a.mean(), b.mean() - two.low))


def test_nothing_ever_seen_is_no_certainty() -> None:
    none = independent_difference(np.zeros(40), np.zeros(40), rng=np.random.default_rng(0), bounds=(0, 1))
    # Each mean may be as high as 1 - .025^(1/40) = .088.
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 40))
    assert none.low == pytest.approx(-none.high)


@pytest.mark.parametrize(("high", "low", "size"), [(0.4, 0.1, 40), (0.05, 0.05, 60), (0.9, 0.5, 25)])
def test_coverage(high: float, low: float, size: int) -> None:
    """Shares of five next items, that differ between users: 95 % intervals hold the truth in 93 to 98 % of runs."""
    rng, held, runs = np.random.default_rng(6), 0, 400
    for _ in range(runs):
        shares = [rng.binomial(5, rng.beta(4 * p, 4 * (1 - p), size)) / 5 for p in (high, low)]
        found = independent_difference(shares[0], shares[1], rng=rng, bounds=(0, 1), resamples=600)
        held += found.low <= high - low <= found.high
    assert held / runs > 0.93 - 3 * math.sqrt(0.05 * 0.95 / runs)


def test_the_coin_by_brute_force() -> None:
    values, chosen = np.array([0.0, 0.4, 0.4, 0.8, 1.0, 0.2, 0.0]), np.array([0, 1, 0, 1, 1, 0, 0], dtype=bool)
    sums = np.array([values[list(three)].sum() for three in itertools.combinations(range(7), 3)])
    mine, middle = values[chosen].sum(), 3 * values.mean()
    exact = np.mean(sums >= mine - 1e-9), np.mean(np.abs(sums - middle) >= mine - middle - 1e-9)
    for both, truth in zip((False, True), exact, strict=True):
        p = coin_test(values, chosen, rng=np.random.default_rng(0), two_sided=both, permutations=20_000)
        assert p == pytest.approx(truth, abs=0.01)


def test_a_perfect_separation_is_found() -> None:
    """All chosen at 1 and all others at 0 leave no variance to divide by."""
    chosen = np.arange(60) < 30
    assert coin_test(chosen.astype(float), chosen, rng=np.random.default_rng(0)) == pytest.approx(1 / 10_001)


@pytest.mark.parametrize("both", [False, True])
def test_size_of_the_coin(both: bool) -> None:
    rng, accused, runs = np.random.default_rng(8), 0, 1000
    for _ in range(runs):
        values = rng.binomial(5, 0.1, 40) / 5
        p = coin_test(values, rng.permutation(40) < 18, rng=rng, two_sided=both, permutations=199)
        accused += p <= 0.05
    # Ties make it keep a little below its level.
    assert 0.02 < accused / runs < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="outside the bounds"):
        independent_difference([2.0], [0.0], rng=np.random.default_rng(0), bounds=(0, 1))
    with pytest.raises(ValueError, match="both sides are needed"):
        coin_test([1.0, 2.0], [True, True], rng=np.random.default_rng(0))
