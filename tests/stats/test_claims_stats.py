"""Whether a claim is shown to hold, against SciPy's exact intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from audit.stats.claims import at_n, held, mean_error, size_seen


@pytest.mark.parametrize(("hits", "n"), [(59, 59), (58, 58), (95, 100), (80, 100), (0, 10)])
def test_a_lower_limit_against_scipy(hits: int, n: int) -> None:
    low = reference.binomtest(hits, n, 0.95, alternative="greater").proportion_ci(0.95, "exact").low
    high = reference.binomtest(hits, n, 0.95, alternative="less").proportion_ci(0.95, "exact").high
    expected = "holds" if low >= 0.95 else "misses" if high < 0.95 else "open"
    assert held(hits, n, least=0.95) == expected


def test_fifty_nine_of_fifty_nine_are_needed_to_show_nineteen_in_twenty() -> None:
    assert (held(59, 59, least=0.95), held(58, 58, least=0.95)) == ("holds", "open")
    assert (held(0, 59, most=0.05), held(0, 58, most=0.05)) == ("holds", "open")


@pytest.mark.parametrize("hits", [1800, 1860, 1900, 1940, 1990])
def test_two_limits_against_scipy(hits: int) -> None:
    found = reference.binomtest(hits, 2000).proportion_ci(0.95, "exact")
    inside = found.low >= 0.93 and found.high <= 0.97
    outside = found.high < 0.93 or found.low > 0.97
    assert held(hits, 2000, least=0.93, most=0.97) == ("holds" if inside else "misses" if outside else "open")


def test_a_claim_at_its_limit_is_seldom_called_broken() -> None:
    rng = np.random.default_rng(4)
    said = [held(int(h), 60, least=0.95) for h in rng.binomial(60, 0.95, 2000)]
    assert said.count("misses") / 2000 <= 0.06  # 5 % and its Monte Carlo error


def test_limits_that_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="must hold"):
        held(1, 2, least=0.9, most=0.1)


def test_mean_error_against_scipy() -> None:
    errors = [0.1, -0.2, 0.05, 0.3]
    assert mean_error(errors) == (pytest.approx(np.mean(errors)), pytest.approx(reference.sem(errors)))
    with pytest.raises(ValueError, match="at least 2"):
        mean_error([0.1])


@pytest.mark.parametrize(
    ("rates", "seen"),
    [([0, 0.5, 1], 0.32), ([0.9, 0.9, 0.9], 0.1), ([0, 0, 0.5], None), ([0.9, 0, 1], 0.4 * 0.8 + 0.2 * 0.2)],
)
def test_the_smallest_size_from_which_on_a_flaw_is_seen(rates: list[float], seen: float | None) -> None:
    found = size_seen([0.1, 0.2, 0.4], rates, 0.8)
    assert found == (None if seen is None else pytest.approx(seen))


def test_values_lie_straight_in_the_width_of_intervals() -> None:
    assert at_n(100, {100: 0.2, 400: 0.1}) == (0.2, 100, 100)
    value, low, high = at_n(200, {100: 0.2, 400: 0.1})
    assert (low, high) == (100, 400)
    assert value == pytest.approx(np.interp(200**-0.5, [400**-0.5, 100**-0.5], [0.1, 0.2]))
    assert at_n(9, {100: 0.2, 400: 0.1}) == (0.2, 100, 100)
    with pytest.raises(ValueError, match="empty"):
        at_n(9, {})
