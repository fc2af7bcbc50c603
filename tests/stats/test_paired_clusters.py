"""Differences of rates over trials nested in units, measured twice: by hand, and their coverage and size simulated."""

from __future__ import annotations

import numpy as np
import pytest

from audit import stats


def worlds(rng, n=60, runs=300, shift=0.0, fewer=False):
    """Answers with 1 to 6 titles each; what is wrong in one tends to be wrong under both conditions."""
    rates = rng.beta(2, 3, size=(runs, n))
    ta = rng.integers(1, 7, size=(runs, n))
    tb = np.maximum(ta - 2, 0) if fewer else rng.integers(0, 7, size=(runs, n))
    return rng.binomial(ta, rates), ta, rng.binomial(tb, np.clip(rates - shift, 0, 1)), tb


def test_the_estimate_is_the_difference_of_pooled_rates():
    rng = np.random.default_rng(0)
    found = stats.paired_cluster_difference([1, 2, 0], [2, 2, 1], [0, 1, 0], [1, 4, 0], rng=rng)
    assert found.estimate == pytest.approx(3 / 5 - 1 / 5)
    assert found.low <= found.estimate <= found.high
    each = stats.linearised([1, 2, 0], [2, 2, 1]) - stats.linearised([0, 1, 0], [1, 4, 0])
    assert each.mean() == pytest.approx(found.estimate)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    ha, ta, hb, tb = worlds(rng)
    covered = []
    for row in zip(ha, ta, hb, tb, strict=True):
        found = stats.paired_cluster_difference(*row, rng=rng, resamples=400)
        covered.append(found.low <= 0.0 <= found.high)
    assert 0.91 <= np.mean(covered) <= 0.985


@pytest.mark.parametrize("fewer", [False, True])
def test_the_test_keeps_its_size_also_where_one_side_has_fewer_trials(fewer):
    rng = np.random.default_rng(2)
    rows = list(zip(*worlds(rng, n=25, runs=400, fewer=fewer), strict=True))
    p = [stats.paired_cluster_permutation(*row, rng=rng, permutations=299) for row in rows]
    assert np.mean(np.array(p) <= 0.05) <= 0.08


def test_the_test_finds_a_difference():
    rng = np.random.default_rng(3)
    p = [stats.paired_cluster_permutation(*row, rng=rng, permutations=299)
         for row in zip(*worlds(rng, runs=40, shift=0.25), strict=True)]  # fmt: skip
    assert np.mean(np.array(p) <= 0.05) > 0.9


def test_all_against_none_is_not_certain():
    five = np.full(20, 5)
    found = stats.paired_cluster_difference(five, five, np.zeros(20), five, rng=np.random.default_rng(0))
    assert found.estimate == 1.0
    assert 0.6 < found.low < 1.0
    assert found.high == 1.0
    assert found.method == "mover"
    same = stats.paired_cluster_difference(five, five, five, five, rng=np.random.default_rng(0))
    assert same.low < 0.0 < same.high
    assert stats.paired_cluster_permutation(five, five, five, five, rng=np.random.default_rng(0)) == 1.0


@pytest.mark.parametrize(
    ("a", "said"),
    [(([1, 3], [2, 2]), "more hits"), (([0, 0], [0, 0]), "no rate"), (([0], [1]), "as many|same|length|fewer")],
)
def test_counts_that_do_not_fit_are_refused(a, said):
    with pytest.raises(ValueError, match=said):
        stats.paired_cluster_difference(*a, [1, 1], [1, 1], rng=np.random.default_rng(0))
