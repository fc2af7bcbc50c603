"""Tests against SciPy, their size on simulated nulls, and the corrections against textbook and SciPy."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from audit.stats import benjamini_hochberg, holm, mcnemar_exact, paired_permutation

ALTERNATIVES = ["two-sided", "greater", "less"]


def rng(seed=0):
    return np.random.default_rng(seed)


def scipy_sign_flip(a, b, alternative, n_resamples=10**9):
    return scipy.stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        alternative=alternative,
        n_resamples=n_resamples,
        vectorized=True,
        rng=rng(99),
    ).pvalue


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("n", [2, 5, 10])
def test_exact_sign_flip_equals_scipy(n, alternative):
    for seed in range(3):
        a, b = rng(seed).normal(0.4, 1, n), rng(seed + 50).normal(0, 1, n)
        ours = paired_permutation(a, b, rng=rng(), alternative=alternative)
        assert ours == pytest.approx(scipy_sign_flip(a, b, alternative))


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_monte_carlo_sign_flip_agrees_with_scipy(alternative):
    a, b = rng(1).exponential(1.2, 40), rng(2).exponential(1.0, 40)
    ours = paired_permutation(a, b, rng=rng(3), permutations=20_000, alternative=alternative)
    assert ours == pytest.approx(scipy_sign_flip(a, b, alternative, 20_000), abs=0.02)


def test_pairs_without_a_difference_change_nothing_and_rounding_does_not_break_ties():
    a, b = np.array([0.3, 0.8, 0.5]), np.array([0.2, 0.7, 0.4])
    # All three differ by .1 up to rounding: of 8 patterns only the two pure ones are as extreme.
    assert paired_permutation(a, b, rng=rng()) == 2 / 8
    assert paired_permutation(np.append(a, [1] * 99), np.append(b, [1] * 99), rng=rng()) == 2 / 8
    assert paired_permutation([1, 2], [1, 2], rng=rng()) == 1.0


def test_monte_carlo_p_is_never_zero():
    assert paired_permutation([9] * 50, [0] * 50, rng=rng(), permutations=999) == 1 / 1000


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize(("n", "permutations"), [(10, 1), (25, 199)])
def test_size_of_the_sign_flip_test(n, permutations, alternative):
    # n = 10 is enumerated, n = 25 is sampled; heavy tails, unequal spread, no difference in the mean.
    draw = rng(n)
    p = np.array(
        [
            paired_permutation(
                draw.standard_t(3, n),
                draw.normal(0, 2, n),
                rng=draw,
                permutations=permutations,
                alternative=alternative,
            )
            for _ in range(2000)
        ]
    )
    assert 0.03 <= np.mean(p <= 0.05) <= 0.07


def test_a_planted_shift_is_found():
    a = rng(4).normal(0.5, 1, 60)
    assert paired_permutation(a, np.zeros(60), rng=rng()) < 0.01
    assert paired_permutation(a, np.zeros(60), rng=rng(), alternative="less") > 0.98


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from(ALTERNATIVES))
def test_mcnemar_equals_the_binomial_test(b, c, alternative):
    expected = scipy.stats.binomtest(b, b + c, 0.5, alternative=alternative).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c, alternative) == pytest.approx(expected)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_size_of_mcnemar_is_never_above_its_level(alternative):
    # Discrete and therefore conservative: the size may be well below .05, but not above. 100 pairs, 30% discordant.
    draw = rng(5)
    discordant = draw.binomial(100, 0.3, size=3000)
    b = draw.binomial(discordant, 0.5)
    p = [mcnemar_exact(int(x), int(n - x), alternative) for x, n in zip(b, discordant, strict=True)]
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.06


def test_holm_by_hand():
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1 = .02, .03, .06, .04, made increasing: .02, .03, .06, .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])


p_values = st.lists(st.floats(0, 1), max_size=30)


@given(p_values)
def test_corrections_only_ever_raise_p_keep_the_order_and_holm_is_the_stricter(p):
    by_holm, by_bh = holm(p), benjamini_hochberg(p)
    assert np.all(by_holm >= by_bh - 1e-12)
    assert np.all(by_bh >= np.array(p) - 1e-12)
    assert np.all(by_holm <= 1)
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(by_holm[order]) >= 0)
    assert np.all(np.diff(by_bh[order]) >= 0)
    if p:
        assert by_bh == pytest.approx(scipy.stats.false_discovery_control(p, method="bh"))
        assert min(by_holm) == pytest.approx(min(1.0, len(p) * min(p)))


def test_holm_keeps_the_family_wise_error_and_bh_the_false_discovery_rate_under_the_null():
    p = rng(6).uniform(size=(2000, 10))
    for correct in (holm, benjamini_hochberg):
        assert 0.03 <= np.mean([correct(row).min() <= 0.05 for row in p]) <= 0.07


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"p\[1\]: nan"):
        holm([0.1, np.nan])
    with pytest.raises(ValueError, match=r"p: 1\.5"):
        benjamini_hochberg([0.1, 1.5])
    with pytest.raises(ValueError, match="alternative: 'both'"):
        mcnemar_exact(1, 2, "both")
    with pytest.raises(ValueError, match="-1"):
        mcnemar_exact(-1, 2)
    with pytest.raises(ValueError, match="no unit"):
        paired_permutation([], [], rng=rng())
    with pytest.raises(ValueError, match="permutations: 0"):
        paired_permutation([1], [2], rng=rng(), permutations=0)
