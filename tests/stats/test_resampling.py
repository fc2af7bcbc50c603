"""The bootstrap against SciPy's, its coverage, and what it does when the data cannot vary."""

import types

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.stats import (
    bootstrap,
    clopper_pearson,
    cluster_rate,
    mean_interval,
    paired_difference,
    ratio_interval,
    relative_drop,
    wilson,
)
from audit.stats import resampling as engine


def rng(seed=0):
    return np.random.default_rng(seed)


def scipy_interval(data, statistic, weighted, method):
    """SciPy's interval from our replicates, so that both must agree to rounding; and ours."""
    replicates = []

    def recording(weights):
        values = weighted(weights)
        # The other calls are the estimate (all weights 1) and the jackknife (weights of 0 and 1).
        if weights.max() > 1:
            replicates.append(values)
        return values

    ours = bootstrap(recording, len(data[0]), rng=rng(2), resamples=3000, method=method)
    drawn = types.SimpleNamespace(bootstrap_distribution=np.concatenate(replicates))
    theirs = scipy.stats.bootstrap(
        data, statistic, paired=True, n_resamples=0, bootstrap_result=drawn, method=method
    ).confidence_interval
    return ours, theirs


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_interval_of_a_skewed_mean_equals_scipy_on_the_same_replicates(method):
    x = rng(1).lognormal(sigma=1.2, size=40)
    ours, theirs = scipy_interval((x,), np.mean, lambda w: w @ x / 40, method)
    assert ours.as_pair() == pytest.approx(tuple(theirs), rel=1e-9)
    assert (ours.estimate, ours.method, ours.dropped) == (pytest.approx(x.mean()), method, 0)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_interval_of_a_discrete_mean_with_many_ties_equals_scipy(method):
    x = rng(3).integers(0, 2, size=16) * 1.0
    ours, theirs = scipy_interval((x,), np.mean, lambda w: w @ x / 16, method)
    assert ours.as_pair() == pytest.approx(tuple(theirs), rel=1e-9)


def test_interval_of_a_ratio_equals_scipy_on_the_same_replicates():
    draw = rng(4)
    clean = draw.gamma(1.0, size=50)
    attacked = clean * draw.uniform(0, 1, size=50)
    ours, theirs = scipy_interval(
        (attacked, clean),
        lambda a, c, axis: a.sum(axis=axis) / c.sum(axis=axis),
        lambda w: (w @ attacked) / (w @ clean),
        "bca",
    )
    assert ours.as_pair() == pytest.approx(tuple(theirs), rel=1e-9)
    assert ratio_interval(attacked, clean, rng=rng(2), resamples=3000) == ours


def test_our_draws_give_the_interval_that_scipy_draws():
    x = rng(5).exponential(size=60)
    ours = mean_interval(x, rng=rng(6), resamples=20_000)
    theirs = scipy.stats.bootstrap((x,), np.mean, n_resamples=20_000, rng=rng(7)).confidence_interval
    # The ends of two such runs differ by 1 to 2% of the width.
    assert ours.as_pair() == pytest.approx(tuple(theirs), abs=0.05 * (theirs.high - theirs.low))


def test_relative_drop_is_one_minus_the_ratio():
    draw = rng(4)
    clean = draw.gamma(1.0, size=50)
    attacked = clean * draw.uniform(0, 1, size=50)
    drop = relative_drop(clean, attacked, rng=rng(5))
    kept = ratio_interval(attacked, clean, rng=rng(5))
    assert (drop.estimate, drop.low, drop.high) == pytest.approx((1 - kept.estimate, 1 - kept.high, 1 - kept.low))


def test_coverage_of_the_mean_of_skewed_values():
    draw = rng(7)
    covered = [mean_interval(draw.exponential(size=80), rng=draw, resamples=500).contains(1.0) for _ in range(600)]
    # Its standard error is .009; BCa at n = 80 is a little short of nominal on exponential data.
    assert 0.91 <= np.mean(covered) <= 0.97


def test_size_of_the_paired_difference_as_a_test():
    draw = rng(8)
    rejected = [
        not paired_difference(*draw.normal(size=(2, 100)), rng=draw, resamples=400, method="bca").contains(0.0)
        for _ in range(2000)
    ]
    assert 0.03 <= np.mean(rejected) <= 0.07


def test_coverage_of_a_rate_nested_in_users_where_wilson_is_far_too_narrow():
    draw = rng(9)
    cluster, naive = [], []
    for _ in range(500):
        trials = draw.integers(5, 15, size=60)
        successes = draw.binomial(trials, draw.beta(0.6, 1.4, size=60))
        cluster.append(cluster_rate(successes, trials, rng=draw, resamples=400).contains(0.3))
        naive.append(wilson(int(successes.sum()), int(trials.sum())).contains(0.3))
    assert 0.91 <= np.mean(cluster) <= 0.98
    assert np.mean(naive) < 0.8


def test_the_unit_of_measurement_does_not_matter():
    x = rng(12).exponential(size=20)
    plain, tiny = mean_interval(x, rng=rng(1)), mean_interval(x * 1e-150, rng=rng(1))
    assert tiny.low * 1e150 == pytest.approx(plain.low)
    assert tiny.high * 1e150 == pytest.approx(plain.high)


def test_the_same_seed_gives_the_same_interval():
    x = rng(10).normal(size=30)
    assert mean_interval(x, rng=rng(1)) == mean_interval(x, rng=rng(1))
    assert mean_interval(x, rng=rng(1)) != mean_interval(x, rng=rng(2))


def test_batches_are_bounded_and_each_resample_draws_n_units():
    n, seen = 5000, []

    def statistic(weights):
        seen.append(weights.shape)
        if weights.max() > 1:  # neither the estimate nor the jackknife
            assert np.all(weights.sum(axis=1) == n)
        return weights[:, 0] + 1

    bootstrap(statistic, n, rng=rng(), resamples=300, width=20_000)
    assert max(rows * 20_000 for rows, _ in seen) <= 1 << 20
    assert sum(rows for rows, _ in seen) == 1 + 300 + 2000


def test_leaving_out_groups_keeps_the_acceleration(monkeypatch):
    x = rng(11).exponential(size=1200)
    single = mean_interval(x, rng=rng(1), resamples=4000)
    monkeypatch.setattr(engine, "_MAX_JACKKNIFE", 300)
    grouped = mean_interval(x, rng=rng(1), resamples=4000)
    assert grouped.as_pair() == pytest.approx(single.as_pair(), abs=0.03 * (single.high - single.low))


def test_undefined_resamples_are_dropped_and_counted():
    # A resample without unit 0 has no denominator: that happens with chance (1 - 1/8)^8 = .344.
    interval = ratio_interval([1.0] + [0.5] * 7, [1.0] + [0.0] * 7, rng=rng(), resamples=4000)
    assert interval.dropped / 4000 == pytest.approx((7 / 8) ** 8, abs=0.03)
    assert interval.low <= 4.5 <= interval.high


def test_mostly_undefined_is_an_error_with_the_reason():
    def mostly_nan(weights):
        return np.where(weights[:, 0] >= 1, np.where(weights[:, 1] >= 1, weights[:, 0], np.nan), np.nan)

    with pytest.raises(ValueError, match=r"undefined on \d+ of 2000 resamples"):
        bootstrap(mostly_nan, 50, rng=rng())


def test_no_variation_is_marked_and_bounds_replace_false_certainty():
    same = mean_interval([0.1] * 50, rng=rng())
    assert (same.as_pair(), same.method) == ((pytest.approx(0.1), pytest.approx(0.1)), "constant")
    # 50 users of whom none changed cannot exclude that 1 - .025^(1/50) = 7.1% would: the exact binomial bound.
    none = paired_difference([1.0] * 50, [1.0] * 50, rng=rng(), bounds=(-1, 1))
    bound = clopper_pearson(0, 50).high
    assert none.as_pair() == pytest.approx((-bound, bound))


def test_cluster_rate_falls_back_where_a_bootstrap_would_be_certain():
    assert cluster_rate([0] * 30, [4] * 30, rng=rng()).as_pair() == clopper_pearson(0, 30).as_pair()
    assert cluster_rate([4] * 30, [4] * 30, rng=rng()).as_pair() == clopper_pearson(30, 30).as_pair()
    assert cluster_rate([1, 0, 0], [1, 1, 1], rng=rng()) == wilson(1, 3)
    # Units without trials change nothing.
    # Thirty answers with one false claim in five each: other answers may have none, or five.
    alike = cluster_rate([1] * 29 + [2], [5] * 29 + [10], rng=rng())
    unseen = 1 - 0.025 ** (1 / 30)
    assert alike.as_pair() == pytest.approx((0.2 - unseen * 0.2, 0.2 + unseen * 0.8))
    with_empty = cluster_rate([1, 0, 3, 2], [2, 0, 4, 7], rng=rng())
    assert with_empty == cluster_rate([1, 3, 2], [2, 4, 7], rng=rng())


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="needs at least 2 units"):
        mean_interval([1.0], rng=rng())
    with pytest.raises(ValueError, match="needs at least 2 units"):
        mean_interval([], rng=rng(), bounds=(0, 1))
    with pytest.raises(ValueError, match=r"values\[1\]: nan"):
        mean_interval([1.0, np.nan], rng=rng())
    with pytest.raises(ValueError, match="outside the bounds"):
        mean_interval([1.0, 3.0], rng=rng(), bounds=(0, 1))
    with pytest.raises(ValueError, match="a has 2, b has 3"):
        paired_difference([1, 2], [1, 2, 3], rng=rng())
    with pytest.raises(ValueError, match="nan on the data itself"):
        ratio_interval([0, 0], [0, 0], rng=rng())
    with pytest.raises(ValueError, match="no unit has a trial"):
        cluster_rate([0, 0], [0, 0], rng=rng())
    with pytest.raises(ValueError, match="as many successes"):
        cluster_rate([3, 0], [2, 2], rng=rng())
    with pytest.raises(ValueError, match="shape"):
        mean_interval([[1.0, 2.0]], rng=rng())
    with pytest.raises(ValueError, match="method: 'bayes'"):
        mean_interval([1.0, 2.0], rng=rng(), method="bayes")
    with pytest.raises(ValueError, match="resamples: 0"):
        mean_interval([1.0, 2.0], rng=rng(), resamples=0)


values = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=20)


@settings(max_examples=60)
@given(values, st.integers(0, 2**32), st.sampled_from(["bca", "percentile"]))
def test_bootstrap_intervals_hold_the_estimate_and_grow_with_the_level(x, seed, method):
    narrow = mean_interval(x, rng=rng(seed), level=0.8, resamples=200, method=method)
    wide = mean_interval(x, rng=rng(seed), level=0.99, resamples=200, method=method)
    assert wide.low <= narrow.low <= narrow.estimate <= narrow.high <= wide.high
    slack = 1e-9 * max(map(abs, x), default=1.0)
    assert min(x) - slack <= wide.low
    assert wide.high <= max(x) + slack
