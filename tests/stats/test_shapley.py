"""Shapley values and removal curves, against brute force over all orders."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from audit.stats import shapley


def brute_force(values, n):
    """The definition: the mean gain of each player over all n! orders."""
    phi = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        mask = 0
        for i in order:
            phi[i] += values[mask | 1 << i] - values[mask]
            mask |= 1 << i
    return phi / len(orders)


@pytest.mark.parametrize("n", [0, 1, 2, 4, 6])
def test_exact_values_are_the_mean_gains_over_all_orders_and_add_up(n):
    values = np.random.default_rng(n).normal(size=2**n)
    phi = shapley.exact_shapley(values)
    assert phi == pytest.approx(brute_force(values, n), abs=1e-12)
    assert phi.sum() == pytest.approx(values[-1] - values[0], abs=1e-4)


def test_a_dummy_gets_exactly_nothing_and_twins_get_the_same():
    rng = np.random.default_rng(0)
    base = rng.normal(size=8)
    # Player 3 changes nothing; players 0 and 1 are twins: only how many of them are there counts.
    values = np.array([base[((m & 1) + (m >> 1 & 1)) + 4 * (m >> 2 & 1)] for m in range(16)])
    phi = shapley.exact_shapley(values)
    assert phi[3] == 0.0
    assert phi[0] == pytest.approx(phi[1], abs=1e-12)


def test_the_worked_glove_game():
    # Two left gloves (0, 1), one right glove (2): a pair is worth 1. Shapley: 1/6, 1/6, 4/6 (textbook).
    values = [float(bool(m & 4) and bool(m & 3)) for m in range(8)]
    assert shapley.exact_shapley(values) == pytest.approx([1 / 6, 1 / 6, 4 / 6])


def test_values_that_are_not_one_per_set_are_refused():
    with pytest.raises(ValueError, match=r"\(2\^n,\)"):
        shapley.exact_shapley(np.zeros(6))
    with pytest.raises(ValueError, match="at most 16"):
        shapley.subsets(17)


def walk(values, order):
    masks = np.concatenate([[0], np.cumsum(1 << np.asarray(order))])
    return values[masks]


def test_sampled_values_are_unbiased_and_their_intervals_cover():
    rng = np.random.default_rng(5)
    values = rng.normal(size=2**6)
    truth, covered, means, runs, pairs = shapley.exact_shapley(values), [], [], 400, 8
    for _ in range(runs):
        orders = shapley.antithetic_orders(6, pairs, rng)
        got = shapley.permutation_shapley(orders, np.stack([walk(values, o) for o in orders]))
        assert got.phi.sum() == pytest.approx(values[-1] - values[0])
        means.append(got.phi)
        covered.append(np.abs(got.phi - truth) <= shapley.half_width(got.se, pairs))
    assert np.mean(means, axis=0) == pytest.approx(truth, abs=0.03)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_antithetic_orders_are_each_followed_by_their_reverse():
    orders = shapley.antithetic_orders(5, 3, np.random.default_rng(0))
    assert orders.shape == (6, 5)
    assert (orders[1::2] == orders[::2, ::-1]).all()


def test_pairs_of_orders_are_exact_where_no_three_players_interact():
    # With pairwise interactions alone an order and its reverse cancel: one pair is exact.
    rng = np.random.default_rng(3)
    main, joint = rng.normal(size=5), np.triu(rng.normal(size=(5, 5)), 1)
    bits = np.array([[m >> i & 1 for i in range(5)] for m in range(32)], dtype=float)
    values = bits @ main + np.einsum("mi,ij,mj->m", bits, joint, bits)
    orders = shapley.antithetic_orders(5, 1, rng)
    got = shapley.permutation_shapley(orders, np.stack([walk(values, o) for o in orders]))
    assert got.phi == pytest.approx(shapley.exact_shapley(values))
    assert np.isinf(got.se).all()  # and a single pair cannot know that


def test_what_overlaps_is_tied_and_groups_are_ranked():
    low, high = [0.0, 5.0, 0.9, 4.0, -3.0], [1.0, 6.0, 2.0, 5.5, -2.0]
    assert shapley.tied_groups(low, high).tolist() == [1, 0, 1, 0, 2]
    assert shapley.tied_groups([1.0, 1.0, 2.0], [1.0, 1.0, 2.0]).tolist() == [1, 1, 0]
    assert shapley.tied_groups([], []).tolist() == []


@pytest.mark.parametrize("keep", [False, True])
def test_the_best_and_worst_order_are_those_of_all_orders(keep):
    n, sizes = 5, [1, 2, 4]
    values = np.random.default_rng(1).normal(size=2**n)

    def aopc(order):
        masks = [sum(1 << i for i in order[:k]) for k in sizes]
        seen = [values[m if keep else 31 ^ m] for m in masks]
        return (shapley.sufficiency if keep else shapley.comprehensiveness)(values[-1], seen)

    every = [aopc(order) for order in permutations(range(n))]
    assert shapley.extreme_orders(values, sizes, keep=keep) == pytest.approx((min(every), max(every)))


def test_areas_and_shares():
    assert shapley.normalised_auc([4.0, 2.0, 0.0], 4.0, 0.0) == pytest.approx(0.5)
    assert shapley.normalised_auc([4.0, 0.0, 0.0], 4.0, 0.0) == pytest.approx(0.25)
    assert np.isnan(shapley.normalised_auc([1.0, 2.0, 1.0], 1.0, 1.0))
    assert shapley.between(3.0, 1.0, 5.0) == 0.5
    assert np.isnan(shapley.between(3.0, 2.0, 2.0))
