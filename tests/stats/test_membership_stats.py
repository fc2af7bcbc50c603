"""Membership statistics against scikit-learn, brute force and simulations of their promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, mannwhitneyu, norm
from sklearn.metrics import roc_auc_score, roc_curve

from audit import stats

side = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=25)


def rng(seed=0):
    return np.random.default_rng(seed)


@given(side, side)
def test_the_auc_is_scikit_learns_and_the_placements_average_to_it(inside, outside):
    found = stats.membership_auc(inside, outside)
    told = roc_auc_score([1] * len(inside) + [0] * len(outside), inside + outside)
    assert found.estimate == pytest.approx(told)
    assert stats.placements(inside, outside).mean() == pytest.approx(told)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


@given(side, side)
def test_swapping_the_sides_mirrors_the_interval(inside, outside):
    one, other = stats.membership_auc(inside, outside), stats.membership_auc(outside, inside)
    assert (one.low, one.high) == (pytest.approx(1 - other.high, abs=1e-9), pytest.approx(1 - other.low, abs=1e-9))


def test_perfect_separation_has_a_width_that_shrinks():
    lows = [stats.membership_auc(np.ones(n), np.zeros(n)).low for n in (5, 50, 500)]
    assert lows == sorted(lows)
    assert 0.5 < lows[0] < 0.75
    assert 0.99 < lows[2] < 1.0


@pytest.mark.parametrize("shape", ["shift", "few", "wide", "strong"])
def test_the_interval_covers(shape):
    """Whatever the members look like: shifted, a few given away, more spread, or nearly all given away."""
    draw, hits, runs, n = rng(4), 0, 400, 40
    truth = {"shift": norm.cdf(0.5 / 2**0.5), "few": 0.1 + 0.9 * 0.5, "wide": 0.5, "strong": norm.cdf(3 / 2**0.5)}
    for _ in range(runs):
        outside, inside = draw.normal(size=n), draw.normal(size=n)
        if shape == "shift":
            inside += 0.5
        elif shape == "few":
            inside = np.where(draw.random(n) < 0.1, 50.0, inside)
        elif shape == "wide":
            inside *= 2.0
        else:
            inside += 3.0
        hits += stats.membership_auc(inside, outside).contains(truth[shape])
    # Wider members have a larger variance than Hanley and McNeil's, by a tenth at most.
    assert hits / runs >= 0.93 if shape != "wide" else hits / runs >= 0.91


def test_the_permutation_test_agrees_with_mann_and_whitney():
    draw = rng(1)
    for shift in (0.0, 0.4, 0.8):
        scores = np.concatenate([draw.normal(shift, size=30), draw.normal(size=40)])
        labels = np.repeat([1, 0], [30, 40])
        told = mannwhitneyu(scores[:30], scores[30:], alternative="greater").pvalue
        assert stats.membership_test(scores, labels, rng=draw, permutations=20_000) == pytest.approx(told, abs=0.01)


def test_rows_of_a_unit_move_together():
    """Copies of a row prove nothing more; taken one by one they would."""
    draw = rng(2)
    scores, labels = draw.normal(size=20), np.repeat([1, 0], 10)
    scores[:10] += 0.5
    once = stats.membership_test(scores, labels, rng=rng(5), permutations=20_000)
    units = np.repeat(np.arange(20), 8)
    copied = stats.membership_test(np.repeat(scores, 8), np.repeat(labels, 8), units, rng=rng(5), permutations=20_000)
    alone = stats.membership_test(np.repeat(scores, 8), np.repeat(labels, 8), rng=rng(5), permutations=20_000)
    assert copied == pytest.approx(once, abs=0.01)
    assert alone < once / 2
    with pytest.raises(ValueError, match="both sides"):
        stats.membership_test([1, 2, 3], [1, 0, 1], ["a", "a", "b"], rng=rng())


def test_the_permutation_test_keeps_its_size_with_uneven_users():
    draw, wrong, runs = rng(3), 0, 300
    for _ in range(runs):
        rows = draw.integers(1, 6, size=24)
        units = np.repeat(np.arange(24), rows)
        scores = draw.normal(size=24)[units] + 0.5 * draw.normal(size=len(units))
        labels = draw.permutation(np.repeat([1, 0], 12))[units]
        wrong += stats.membership_test(scores, labels, units, rng=draw, permutations=199) <= 0.05
    assert wrong / runs <= 0.08


def test_tpr_at_fpr_is_the_point_of_the_curve():
    draw = rng(6)
    inside, outside = draw.normal(1.5, size=700), draw.normal(size=1000)
    fpr, tpr, _ = roc_curve(np.repeat([1, 0], [700, 1000]), np.concatenate([inside, outside]), drop_intermediate=False)
    for at in (0.1, 0.01, 0.001):
        found = stats.tpr_at_fpr(inside, outside, at)
        assert found.interval.estimate == pytest.approx(tpr[fpr <= at + 1e-12].max())
        assert found.allowed == round(at * 1000)
        low = beta.ppf(0.025, found.found, 700 - found.found + 1)
        assert found.interval.low == pytest.approx(low)


@pytest.mark.parametrize(
    ("fpr", "outside", "can"), [(0.01, 99, False), (0.01, 100, True), (0.001, 999, False), (0.001, 1000, True)]
)
def test_what_so_few_others_cannot_resolve_is_not_given(fpr, outside, can):
    assert stats.resolvable(fpr, outside) is can
    assert (stats.tpr_at_fpr(np.ones(50), np.zeros(outside), fpr) is not None) is can


def test_ties_are_never_found():
    """A score that says the same of everybody finds nobody, not everybody."""
    assert stats.tpr_at_fpr(np.ones(50), np.ones(100), 0.01).interval.estimate == 0.0


def test_the_tpr_covers_that_of_its_threshold():
    draw, hits, runs = rng(7), 0, 400
    for _ in range(runs):
        found = stats.tpr_at_fpr(draw.normal(1.0, size=100), draw.normal(size=200), 0.01)
        hits += found.interval.contains(1 - norm.cdf(found.threshold - 1.0))
    assert hits / runs >= 0.95


def test_the_advantage_of_nothing_is_nothing():
    """The best threshold of the same units would find .1 here; the held-out one finds 0 on average, and covers it."""
    draw, gains, hits, runs = rng(8), [], 0, 300
    for _ in range(runs):
        found = stats.held_out_advantage(draw.normal(size=60), draw.normal(size=60), rng=draw)
        gains.append(found.interval.estimate)
        hits += found.interval.contains(0.0)
    assert abs(np.mean(gains)) < 0.02
    assert hits / runs >= 0.93


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_the_advantage_of_a_perfect_score(seed):
    found = stats.held_out_advantage(np.full(20, 2.0), np.full(20, 1.0), rng=rng(seed))
    assert (found.tpr, found.fpr, found.balanced_accuracy) == (1.0, 0.0, 1.0)
    assert found.interval.low < 1.0 == found.interval.high


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_the_curve_is_scikit_learns(seed, tied):
    from sklearn.metrics import roc_curve

    draw = rng(seed)
    a, b = draw.normal(0.7, size=37), draw.normal(size=23)
    if tied:
        a, b = a.round(), b.round()
    found = stats.roc_band(a, b, points=200)
    fpr, tpr, _ = roc_curve(np.repeat([1, 0], [37, 23]), np.concatenate([a, b]), drop_intermediate=False)
    # Its steps: at every share of others the most that any threshold finds.
    best = {share: max(tpr[np.isclose(fpr, share)]) for share in found.fpr}
    kept = {share: max(found.tpr[found.fpr == share]) for share in found.fpr}
    assert kept == pytest.approx(best)
    assert (found.fpr[-1], found.tpr[-1]) == (1.0, 1.0)
    assert (np.diff(found.fpr) >= 0).all()
    assert (found.low <= found.tpr).all()
    assert (found.tpr <= found.high).all()


def test_a_long_curve_keeps_what_matters():
    """Few points, the first ones among few accused; and the rates are those that `tpr_at_fpr` tells."""
    draw = rng(3)
    a, b = draw.normal(1.0, size=3000), draw.normal(size=5000)
    found = stats.roc_band(a, b)
    assert len(found.fpr) <= 85
    assert sum(found.fpr <= 0.001) >= 5
    told = stats.tpr_at_fpr(a, b, 0.001)
    assert max(found.tpr[found.fpr <= 0.001]) == pytest.approx(told.interval.estimate)
    assert {0.0, 0.001} <= set(found.fpr)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="both needed"):
        stats.membership_auc([], [1.0])
    with pytest.raises(ValueError, match="fpr"):
        stats.tpr_at_fpr([1.0], [1.0], 0.0)
    with pytest.raises(ValueError, match="at least 4"):
        stats.held_out_advantage([1, 2, 3], [1, 2, 3, 4], rng=rng())
