"""Miscalibration and its floor."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from audit import stats


def test_the_divergence_is_scipy_s_squared_distance() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), 20), rng.dirichlet(np.ones(6) / 3, 20)
    expected = [jensenshannon(a, b, base=2) ** 2 for a, b in zip(p, q, strict=True)]
    assert stats.jensen_shannon(p, q) == pytest.approx(expected)
    assert stats.jensen_shannon([1, 0], [0, 1]) == 1.0
    assert stats.jensen_shannon([0.5, 0.5], [0.5, 0.5]) == 0.0


def test_a_list_drawn_from_the_history_is_at_its_floor() -> None:
    rng = np.random.default_rng(1)
    history = np.eye(6)[rng.integers(0, 6, 40)]
    above = [np.subtract(*stats.miscalibration(history, history[rng.integers(0, 40, 10)], rng=rng)) for _ in range(200)]
    assert abs(np.mean(above)) < 3 * np.std(above) / np.sqrt(200)
    shorter = stats.miscalibration(history, history[:3], rng=rng)[1]
    assert shorter > stats.miscalibration(history, history[:20], rng=rng)[1], "short lists cannot hold a taste"


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one item"):
        stats.miscalibration(np.zeros((0, 3)), np.eye(3), rng=np.random.default_rng(0))
