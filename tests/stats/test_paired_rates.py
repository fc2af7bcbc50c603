"""The score interval of a paired difference: against its defining equation, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from audit.stats import paired_rate_difference


def test_it_lies_where_the_score_test_turns_significant() -> None:
    # Defining property: at each end, the score statistic with the nuisance rate profiled out equals ±z. The profile is
    # found here by brute force over the likelihood, not by the closed form.
    b, c, n = 12, 2, 50
    interval = paired_rate_difference(b, c, n)
    z = scipy_stats.norm.ppf(0.975)
    for end, sign in ((interval.low, 1), (interval.high, -1)):
        q = np.linspace(max(0.0, -end) + 1e-9, (1 - abs(end)) / 2 + max(0.0, -end) - 1e-9, 400_001)
        agree = np.clip(1 - 2 * q - end, 1e-12, None)
        likelihood = b * np.log(q + end) + c * np.log(q) + (n - b - c) * np.log(agree)
        best = q[np.nanargmax(likelihood)]
        score = (b - c - n * end) / np.sqrt(n * (2 * best + end * (1 - end)))
        assert score == pytest.approx(sign * z, abs=1e-3)


def test_swapping_the_conditions_mirrors_the_interval() -> None:
    one, other = paired_rate_difference(7, 3, 40), paired_rate_difference(3, 7, 40)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


@pytest.mark.parametrize(("b", "c", "n"), [(0, 0, 2), (0, 0, 30), (2, 0, 2), (0, 5, 5), (1, 0, 1)])
def test_extremes_have_width_and_stay_in_range(b: int, c: int, n: int) -> None:
    interval = paired_rate_difference(b, c, n)
    assert -1 <= interval.low <= (b - c) / n <= interval.high <= 1
    assert interval.high - interval.low > 0.1


@pytest.mark.parametrize("n", [10, 25, 60])
def test_coverage_holds_with_few_pairs(n: int) -> None:
    rng = np.random.default_rng(5)
    only_first, only_second = 0.25, 0.1
    draws = rng.multinomial(n, [only_first, only_second, 1 - only_first - only_second], size=1500)
    covered = [paired_rate_difference(int(b), int(c), n).contains(only_first - only_second) for b, c, _ in draws]
    assert np.mean(covered) >= 0.93


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="counts among n"):
        paired_rate_difference(3, 3, 5)
