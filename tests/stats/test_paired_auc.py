"""Placements against scikit-learn's AUC, and the size and power of the paired permutation of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from audit import stats


def test_placements_have_the_auc_as_their_mean():
    rng = np.random.default_rng(1)
    y, s = rng.integers(0, 2, 60), rng.integers(0, 9, 60)
    assert stats.row_placements(s, y).mean() == pytest.approx(roc_auc_score(y, s))


def test_few_rows_by_brute_force():
    a, b, y = [0.9, 0.8, 0.1, 0.3], [0.2, 0.7, 0.6, 0.1], [1, 1, 0, 0]
    # All 16 exchanges of ranks: the observed gap is reached by those that leave at least as much.
    ra, rb = np.array([4, 3, 1, 2]), np.array([2, 4, 3, 1])
    gaps = []
    for mask in range(16):
        swap = np.array([(mask >> i) & 1 for i in range(4)], dtype=bool)
        first, second = np.where(swap, rb, ra), np.where(swap, ra, rb)
        gaps.append(roc_auc_score(y, first) - roc_auc_score(y, second))
    exact = np.mean(np.array(gaps) >= gaps[0] - 1e-12)
    p = stats.paired_auc_permutation(a, b, y, range(4), rng=np.random.default_rng(0), permutations=20_000)
    assert p == pytest.approx(exact, abs=0.02)


def test_size_and_power():
    rng = np.random.default_rng(5)
    ps, found = [], []
    for _ in range(150):
        users, y = np.repeat(np.arange(40), 2), np.tile([0, 1], 40)
        shared = rng.normal(size=80) + 0.6 * y
        a, b = shared + rng.normal(size=80), np.exp(shared + rng.normal(size=80))  # as good, on another scale
        ps.append(stats.paired_auc_permutation(a, b, y, users, rng=rng, permutations=99))
        found.append(stats.paired_auc_permutation(a + 2 * y, b, y, users, rng=rng, permutations=99))
    assert np.mean(np.array(ps) <= 0.05) < 0.11  # three standard errors above 5 %
    assert np.mean(np.array(found) <= 0.05) > 0.95


def test_bad_input_is_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="both classes"):
        stats.paired_auc_permutation([1.0, 2.0], [1.0, 2.0], [1, 1], [0, 1], rng=rng)
    with pytest.raises(ValueError, match="both classes"):
        stats.row_placements([1.0], [0])
