"""Likeness of attributions against SciPy, brute force, and known slopes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from audit.stats.attributions import area, expected_jaccard, kendall_tau_b, within_slope


def test_tau_is_scipys_with_and_without_ties():
    from scipy.stats import kendalltau

    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 5, 9), rng.normal(size=9)
        assert kendall_tau_b(a, b) == pytest.approx(kendalltau(a, b).statistic)


def test_tau_of_what_orders_nothing_is_undefined_and_rounding_is_a_tie():
    assert np.isnan(kendall_tau_b([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))
    assert np.isnan(kendall_tau_b([1.0, 1.0 + 1e-12], [1.0, 2.0]))
    with pytest.raises(ValueError, match="a and b"):
        kendall_tau_b([1.0], [1.0, 2.0])


@pytest.mark.parametrize(("n", "k"), [(3, 3), (5, 3), (7, 2), (6, 1)])
def test_the_jaccard_of_chance_is_that_of_all_pairs_of_sets(n, k):
    sets = [set(one) for one in combinations(range(n), k)]
    assert expected_jaccard(n, k) == pytest.approx(np.mean([len(a & b) / len(a | b) for a in sets for b in sets]))


def test_a_jaccard_of_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="k: 4 must be between 1"):
        expected_jaccard(3, 4)


def test_the_slope_within_items_leaves_out_what_an_item_is_worth():
    rng = np.random.default_rng(1)
    places = np.array([rng.permutation(5) for _ in range(6)], dtype=float)
    worth = np.array([9.0, -3.0, 0.0, 4.0, 1.0])
    assert within_slope(places, worth + 0.7 * places) == pytest.approx(0.7)
    assert within_slope(places, np.tile(worth, (6, 1))) == pytest.approx(0.0)
    assert np.isnan(within_slope(np.tile(np.arange(5.0), (3, 1)), np.tile(worth, (3, 1))))


def test_the_area_is_a_mean_height():
    assert area([0, 1, 4], [2.0, 2.0, 2.0]) == pytest.approx(2.0)
    assert area([0, 2], [0.0, 1.0]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="rising places"):
        area([0, 0], [1.0, 2.0])
