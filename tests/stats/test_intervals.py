"""Intervals of rates against SciPy, and their exact coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from audit.stats import Interval, clopper_pearson, wilson

COUNTS = [(0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (44, 1090), (1, 5000), (4999, 5000)]


@pytest.mark.parametrize(("successes", "n"), COUNTS)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_rate_intervals_equal_scipy(successes, n, level):
    reference = binomtest(successes, n)
    assert wilson(successes, n, level).as_pair() == pytest.approx(
        tuple(reference.proportion_ci(level, method="wilson")), abs=1e-12
    )
    assert clopper_pearson(successes, n, level).as_pair() == pytest.approx(
        tuple(reference.proportion_ci(level, method="exact")), abs=1e-12
    )


@pytest.mark.parametrize(("successes", "n"), COUNTS)
@pytest.mark.parametrize(("side", "alternative"), [("lower", "greater"), ("upper", "less")])
def test_one_sided_clopper_pearson_equals_scipy(successes, n, side, alternative):
    reference = binomtest(successes, n, alternative=alternative).proportion_ci(0.95, method="exact")
    assert clopper_pearson(successes, n, side=side).as_pair() == pytest.approx(tuple(reference), abs=1e-12)


def exact_coverage(interval, n, rates):
    ends = np.array([interval(k, n).as_pair() for k in range(n + 1)])
    inside = (ends[:, :1] <= rates) & (rates <= ends[:, 1:])
    return (binom.pmf(np.arange(n + 1)[:, None], n, rates) * inside).sum(axis=0)


def test_coverage_over_the_whole_range_of_rates():
    rates = np.linspace(0.01, 0.99, 197)
    for n in (10, 50, 200):
        assert exact_coverage(clopper_pearson, n, rates).min() >= 0.95
        assert exact_coverage(wilson, n, rates).mean() == pytest.approx(0.95, abs=0.01)


@given(st.integers(1, 3000), st.data(), st.sampled_from([wilson, clopper_pearson]))
def test_an_interval_holds_its_estimate_and_grows_with_the_level(n, data, interval):
    successes = data.draw(st.integers(0, n))
    narrow, wide = interval(successes, n, 0.9), interval(successes, n, 0.99)
    assert 0 <= wide.low <= narrow.low <= successes / n <= narrow.high <= wide.high <= 1


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
@pytest.mark.parametrize(
    ("arguments", "named"), [((0, 0), "n: 0 trials"), ((3, 2), "successes: 3"), ((-1, 2), "successes: -1")]
)
def test_impossible_counts_are_refused_by_name(interval, arguments, named):
    with pytest.raises(ValueError, match=named):
        interval(*arguments)


def test_an_interval_cannot_hold_nan_or_exclude_its_estimate():
    with pytest.raises(ValueError, match="low <= estimate <= high"):
        Interval(math.nan, 0, 1, 0.95, "wilson")
    with pytest.raises(ValueError, match="low <= estimate <= high"):
        Interval(0.5, 0.6, 1, 0.95, "wilson")
    with pytest.raises(ValueError, match="level: 95"):
        wilson(1, 2, 95)
    with pytest.raises(ValueError, match="side: 'both'"):
        clopper_pearson(1, 2, side="both")


def test_contains_is_closed():
    interval = Interval(0.5, 0.25, 0.75, 0.95, "wilson")
    assert interval.contains(0.25)
    assert interval.contains(0.75)
    assert not interval.contains(0.76)
