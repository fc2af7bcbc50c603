"""Impact ratios: the sheet's example, its tables of sample sizes and false alarms, SciPy's Fisher test, nulls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from audit import stats


def test_the_example_of_the_sheet() -> None:
    small = stats.impact_ratio(36, 120, 60, 150)
    assert small.estimate == pytest.approx(0.75)
    assert (small.low, small.high) == (pytest.approx(0.54, abs=0.005), pytest.approx(1.05, abs=0.005))
    large = stats.impact_ratio(360, 1200, 600, 1500)
    assert (large.low, large.high) == (pytest.approx(0.67, abs=0.005), pytest.approx(0.83, abs=0.005))


@pytest.mark.parametrize(("rate", "n"), [(0.5, 385), (0.3, 856), (0.2, 1445), (0.1, 3211)])
def test_people_needed_to_tell_four_fifths_from_one(rate: float, n: int) -> None:
    assert stats.n_per_group_for_ratio(rate) == n
    shown = stats.detectable_ratio(rate, n, n)
    assert shown is not None
    assert shown == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(
    ("n", "groups", "share"),
    [(30, 2, 0.55), (100, 2, 0.30), (500, 2, 0.02), (200, 2, 0.15), (200, 4, 0.46), (200, 7, 0.76)],
)
def test_false_alarms_of_the_bare_rule(n: int, groups: int, share: float) -> None:
    alarm = stats.four_fifths_false_alarm([n] * groups, 0.3, rng=np.random.default_rng(1))
    assert alarm == pytest.approx(share, abs=0.015)


def test_false_alarms_by_enumeration() -> None:
    """Two groups of 20 and 35 with rate .4, every pair of counts weighted by its chance."""
    a, b = np.arange(21), np.arange(36)
    chance = np.outer(scipy_stats.binom.pmf(a, 20, 0.4), scipy_stats.binom.pmf(b, 35, 0.4))
    low, high = (f(a[:, None] / 20, b[None, :] / 35) for f in (np.minimum, np.maximum))
    exact = chance[low < 0.8 * high - 1e-12].sum()
    assert stats.four_fifths_false_alarm([20, 35], 0.4, rng=np.random.default_rng(0)) == pytest.approx(exact, abs=0.012)


@pytest.mark.parametrize("table", [(36, 120, 60, 150), (0, 10, 5, 10), (3, 3, 0, 4), (0, 5, 0, 9), (7, 20, 7, 20)])
def test_fisher_is_scipys(table: tuple[int, int, int, int]) -> None:
    a, n, b, m = table
    expected = scipy_stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
    assert stats.fisher_exact(a, n, b, m) == pytest.approx(expected, rel=1e-9)


def test_fisher_keeps_its_level_and_has_the_planned_power() -> None:
    rng = np.random.default_rng(3)
    null = [stats.fisher_exact(a, 300, b, 300) < 0.05 for a, b in rng.binomial(300, 0.4, size=(600, 2)).tolist()]
    assert 0.02 <= np.mean(null) <= 0.08
    # Being exact costs Fisher's test 5 % more people than the normal approximation plans (Casagrande et al. 1978).
    n = round(1.05 * stats.n_per_group_for_ratio(0.5))
    found = [
        stats.fisher_exact(a, n, b, n) < 0.05
        for a, b in zip(rng.binomial(n, 0.4, 3000).tolist(), rng.binomial(n, 0.5, 3000).tolist(), strict=True)
    ]
    assert np.mean(found) >= 0.78


def applicants(rng: np.random.Generator, people: int, rates: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """People of two groups who apply one to six times, each with an inclination of their own."""
    member = np.arange(people) % 2 == 0
    trials = rng.integers(1, 7, size=people)
    own = rng.beta(2, 2, size=people) - 0.5
    rate = np.clip(np.where(member, *rates) + 0.6 * own, 0.02, 0.98)
    return rng.binomial(trials, rate), trials, member


def test_the_permutation_over_persons_keeps_its_level_where_applications_would_not() -> None:
    rng = np.random.default_rng(5)
    hits, naive = 0, 0
    for _ in range(300):
        selected, trials, member = applicants(rng, 80, (0.5, 0.5))
        hits += stats.rate_permutation(selected, trials, member, rng=rng, permutations=399) < 0.05
        a, n = int(selected[member].sum()), int(trials[member].sum())
        b, m = int(selected[~member].sum()), int(trials[~member].sum())
        naive += stats.fisher_exact(a, n, b, m) < 0.05
    assert 0.02 <= hits / 300 <= 0.08
    assert naive > hits


def test_the_permutation_over_persons_finds_a_planted_gap() -> None:
    rng = np.random.default_rng(6)
    found = [
        stats.rate_permutation(*applicants(rng, 160, (0.35, 0.55)), rng=rng, permutations=399) < 0.05 for _ in range(60)
    ]
    assert np.mean(found) >= 0.8


def test_nobody_selected_in_a_group_has_an_upper_end() -> None:
    none = stats.impact_ratio(0, 40, 20, 40)
    assert (none.estimate, none.low) == (0.0, 0.0)
    assert 0 < none.high < 0.5
    everybody = stats.impact_ratio(40, 40, 40, 40)
    assert everybody.low < 1 < everybody.high


def test_coverage_of_the_interval() -> None:
    rng = np.random.default_rng(8)
    draws = zip(rng.binomial(150, 0.3, 500).tolist(), rng.binomial(200, 0.4, 500).tolist(), strict=True)
    held = [stats.impact_ratio(a, 150, b, 200).contains(0.75) for a, b in draws]
    assert 0.93 <= np.mean(held) <= 0.97


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.impact_ratio(1, 10, 0, 10), "best_selected: 0"),
        (lambda: stats.impact_ratio(11, 10, 1, 10), "successes: 11"),
        (lambda: stats.n_per_group_for_ratio(1.2), "rate: 1.2"),
        (lambda: stats.four_fifths_false_alarm([10], 0.3, rng=np.random.default_rng(0)), "at least two groups"),
        (lambda: stats.rate_permutation([1], [1], [True], rng=np.random.default_rng(0)), "nobody or everybody"),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
