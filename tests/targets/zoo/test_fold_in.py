"""Folding a user in, against a general minimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from audit.data.dataset import FloatArray
from audit.targets.zoo.fold_in import fold_in, spread


@pytest.mark.parametrize(("ridge", "gain"), [(1e-2, 1.0), (1e-4, 0.25), (10.0, 1.0)])
def test_it_is_the_minimum_of_the_bpr_loss_over_all_pairs(ridge: float, gain: float) -> None:
    rng = np.random.default_rng(0)
    liked, others, offset = rng.normal(size=(7, 5)), rng.normal(size=(30, 5)), rng.normal(size=5)

    def loss(own: FloatArray) -> float:
        x = offset + gain * own
        pairs = [np.logaddexp(0, x @ (other - like)) for like in liked for other in others]
        return float(np.mean(pairs) + ridge / 2 * own @ own)

    expected = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-9})
    found = fold_in(liked, others, ridge, lambda own: (offset + gain * own, np.full(5, gain)))
    own = (found - offset) / gain
    assert loss(own) <= expected.fun + 1e-9
    np.testing.assert_allclose(own, expected.x, atol=1e-3 * max(1, np.abs(own).max()))


def test_neither_a_separable_history_nor_huge_vectors_break_it() -> None:
    liked, others = np.array([[1000.0, 0.0]]), np.array([[-1000.0, 0.0], [-1000.0, 1.0]])
    found = fold_in(liked, others, 1e-6, lambda own: (own, np.ones(2)))
    assert np.isfinite(found).all()
    assert (liked @ found).min() > (others @ found).max()


def test_without_a_pair_it_is_where_the_graph_alone_puts_the_user() -> None:
    nothing, offset = np.zeros((0, 2)), np.array([1.0, 2.0])
    found = fold_in(np.ones((3, 2)), nothing, 0.1, lambda own: (offset + own, np.ones(2)))
    np.testing.assert_array_equal(found, offset)


def test_the_items_ranked_against_reach_from_the_most_to_the_least_popular() -> None:
    popularity = np.array([5, 90, 1, 40, 0, 7, 30, 2, 60, 3])
    np.testing.assert_array_equal(spread(popularity, 20), np.arange(10))
    chosen = spread(popularity, 5)
    ranks = np.argsort(np.argsort(-popularity))[chosen]
    np.testing.assert_array_equal(np.sort(ranks), [1, 3, 5, 7, 9])
