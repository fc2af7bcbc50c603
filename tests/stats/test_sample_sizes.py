"""Planned power against the power that the tests then have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, nct, t

from audit.stats import (
    Interval,
    mcnemar_exact,
    minimum_detectable_difference,
    minimum_detectable_rate_difference,
    n_to_settle,
    paired_permutation,
    required_n_mean,
    required_n_rate,
    wilson,
)


@pytest.mark.parametrize("n", [5, 20, 100, 1000])
@pytest.mark.parametrize("power", [0.8, 0.95])
def test_the_t_test_has_the_planned_power_at_the_detectable_difference(n, power):
    shift = minimum_detectable_difference(2.0, n, power=power) / 2.0 * np.sqrt(n)
    critical = t.ppf(0.975, n - 1)
    exact = nct.sf(critical, n - 1, shift) + nct.cdf(-critical, n - 1, shift)
    assert exact == pytest.approx(power, abs=0.02 if n >= 20 else 0.06)


def test_the_sign_flip_test_has_about_the_planned_power():
    rng = np.random.default_rng(0)
    effect = minimum_detectable_difference(1.0, 30)
    found = [
        paired_permutation(rng.normal(effect, 1, 30), np.zeros(30), rng=rng, permutations=199) <= 0.05
        for _ in range(1000)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


def mcnemar_power(n, discordant_rate, difference):
    """Exact power of the exact test, by summing over the discordant counts."""
    share = (discordant_rate + difference) / 2 / discordant_rate
    power = 0.0
    for m in range(n + 1):
        b = np.arange(m + 1)
        rejects = np.array([mcnemar_exact(int(x), int(m - x)) <= 0.05 for x in b])
        power += binom.pmf(m, n, discordant_rate) * binom.pmf(b, m, share)[rejects].sum()
    return power


def test_mcnemar_has_about_the_planned_power():
    difference = minimum_detectable_rate_difference(0.3, 150)
    # The exact test is conservative, so it falls a little short of the normal approximation.
    assert 0.74 <= mcnemar_power(150, 0.3, difference) <= 0.82


def test_connor_sample_size_is_inverted():
    for rate, n in ((0.3, 150), (0.5, 1000), (0.1, 400)):
        d = minimum_detectable_rate_difference(rate, n)
        za, zb = 1.959963984540054, 0.8416212335729143
        assert (za * rate**0.5 + zb * (rate - d * d) ** 0.5) ** 2 / d**2 == pytest.approx(n)


@given(st.integers(1, 5000), st.floats(0, 1))
def test_a_rate_difference_is_possible_and_shrinks_with_n(n, rate):
    now, more = minimum_detectable_rate_difference(rate, n), minimum_detectable_rate_difference(rate, 2 * n)
    assert 0 < more <= now <= 1


def test_without_discordant_pairs_something_must_still_be_detectable():
    # Six pairs, all changing the same way, are the fewest with which the exact test rejects: p = 2 / 64.
    assert 6 / 100 <= minimum_detectable_rate_difference(0.0, 100) <= 0.12
    assert minimum_detectable_rate_difference(0.0, 2) == 1.0


@given(st.floats(0.01, 10), st.floats(0.01, 3))
def test_required_n_is_the_first_that_suffices(sd, effect):
    n = required_n_mean(sd, effect)
    assert minimum_detectable_difference(sd, n) <= effect
    assert n == 2 or minimum_detectable_difference(sd, n - 1) > effect
    assert required_n_mean(sd, -effect) == n


def test_textbook_n():
    # Half a standard deviation at 80% power: 34 pairs (Cohen 1988; G*Power gives 34).
    assert required_n_mean(1.0, 0.5) == 34


@pytest.mark.parametrize(("p", "threshold"), [(0.1, 0.2), (0.3, 0.2), (0.0, 0.05), (1.0, 0.9), (0.02, 0.05), (0.5, 0)])
def test_required_n_for_a_rate_is_where_wilson_leaves_the_threshold(p, threshold):
    n = required_n_rate(p, threshold)
    # Compared at whole numbers of successes near n: just enough leaves it out, clearly fewer does not.
    enough = int(np.ceil(n / 50) * 50)
    assert not wilson(round(p * enough), enough).contains(threshold)
    if n > 100:
        fewer = n // 50 * 50 - 50
        assert wilson(round(p * fewer), fewer).contains(threshold)


def test_nothing_settles_a_tie():
    assert required_n_rate(0.2, 0.2) is None
    assert required_n_mean(1.0, 0.0) is None
    assert n_to_settle(Interval(0.2, 0.1, 0.4, 0.95, "bca"), 50, 0.2) is None
    assert n_to_settle(Interval(0.2, 0.2, 0.2, 0.95, "constant"), 50, 0.2) is None


def test_n_to_settle_scales_the_width_on_the_side_of_the_threshold():
    interval = Interval(0.25, 0.125, 0.5, 0.95, "bca")
    assert n_to_settle(interval, 50, 0.375) == 201  # half of the upper width: four times as many, and one to clear it
    assert n_to_settle(interval, 50, 0.1875) == 201
    assert n_to_settle(interval, 50, 0.625) == 50


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"power: 0\.01"):
        minimum_detectable_difference(1, 10, power=0.01)
    with pytest.raises(ValueError, match="alpha: 5"):
        minimum_detectable_difference(1, 10, alpha=5)
    with pytest.raises(ValueError, match="n: 1;"):
        minimum_detectable_difference(1, 1)
    with pytest.raises(ValueError, match="sd: nan"):
        minimum_detectable_difference(float("nan"), 10)
    with pytest.raises(ValueError, match="effect: nan"):
        required_n_mean(1, float("nan"))
    with pytest.raises(ValueError, match="discordant_rate: 2"):
        minimum_detectable_rate_difference(2, 10)
    with pytest.raises(ValueError, match="n: 0"):
        minimum_detectable_rate_difference(0.2, 0)
    with pytest.raises(ValueError, match="threshold: 20"):
        required_n_rate(0.2, 20)
    with pytest.raises(ValueError, match="n: 0"):
        n_to_settle(Interval(0.2, 0.1, 0.4, 0.95, "bca"), 0, 0.3)
