"""Placements against scikit-learn's AUC; the corrected t of cross-validation on models that learn noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score

from audit import stats


def test_placements_have_the_auc_as_their_mean():
    rng = np.random.default_rng(1)
    y, s = rng.integers(0, 2, 60), rng.integers(0, 9, 60)
    assert stats.row_placements(s, y).mean() == pytest.approx(roc_auc_score(y, s))


def test_by_hand():
    # Nadeau & Bengio: the plain t of the folds, its error times sqrt((1/J + test/train) J).
    x = np.array([0.1, 0.3, 0.2, 0.0, 0.15])
    plain = ttest_1samp(x, 0.0)
    interval, p = stats.cross_validated(x, 0.2)
    wider = np.sqrt((1 / 5 + 0.25) * 5)
    low, high = plain.confidence_interval()
    assert interval.estimate - interval.low == pytest.approx((x.mean() - low) * wider)
    assert interval.high - interval.estimate == pytest.approx((high - x.mean()) * wider)
    assert p > plain.pvalue / 2


def _gaps(rng, users, gain, repeats=4, folds=5):
    """Differences in AUC of nearest-centroid models on two tables, fold by fold; `gain` is what the first knows."""
    y = np.arange(users) % 2
    tables = [rng.normal(size=(users, 20)), rng.normal(size=(users, 20))]
    tables[0][:, 0] += gain * y
    gaps = []
    for _ in range(repeats):
        fold = np.empty(users, dtype=int)
        for value in (0, 1):
            fold[rng.permutation(np.flatnonzero(y == value))] = np.arange((y == value).sum()) % folds
        for out in (fold == f for f in range(folds)):
            area = []
            for table in tables:
                w = table[~out & (y == 1)].mean(0) - table[~out & (y == 0)].mean(0)
                area.append(stats.row_placements(table[out] @ w, y[out]).mean())
            gaps.append(area[0] - area[1])
    return gaps


def test_size_coverage_and_power():
    rng = np.random.default_rng(5)
    found = [stats.cross_validated(_gaps(rng, 50, 0.0), 0.2) for _ in range(250)]
    ps = np.array([p for _, p in found])
    assert (ps <= 0.05).mean() <= 0.06
    assert np.mean([i.low <= 0 <= i.high for i, _ in found]) > 0.93
    plain = [ttest_1samp(_gaps(rng, 50, 0.0), 0.0, alternative="greater").pvalue for _ in range(100)]
    assert np.mean(np.array(plain) <= 0.05) > 0.15  # why the correction is needed
    assert np.mean([stats.cross_validated(_gaps(rng, 50, 3.0), 0.2)[1] <= 0.05 for _ in range(40)]) > 0.8


def test_folds_that_all_agree():
    assert stats.cross_validated([0.0, 0.0, 0.0], 0.2)[1] == 1.0
    interval, p = stats.cross_validated([0.5, 0.5], 0.2, bounds=(0.0, 1.0))
    assert (interval.low, interval.high, p) == (0.5, 0.5, 0.0)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="at least 2"):
        stats.cross_validated([1.0], 0.2)
    with pytest.raises(ValueError, match="test_share: 1"):
        stats.cross_validated([1.0, 2.0], 1.0)
    with pytest.raises(ValueError, match="both classes"):
        stats.row_placements([1.0], [0])
