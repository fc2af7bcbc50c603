"""A classifier in folds: scikit-learn's, and an interval that holds one half as often as it says."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from audit import stats


def test_predictions_are_those_of_scikit_learns_ridge_in_the_same_folds():
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(80, 6)), (draw.random(80) < 0.5).astype(float)
    labels[features[:, 0] > 0.3] = 1.0
    labels[features[:, 0] < -0.3] = 0.0
    found = stats.cross_validated_auc(features @ features.T, labels, rng=np.random.default_rng(1), ridge=2.0)
    fold = np.random.default_rng(1).permutation(80) % 5
    told = np.empty(80)
    for number in range(5):
        fitted = fold != number
        model = Ridge(alpha=2.0, fit_intercept=False).fit(features[fitted], (labels - labels.mean())[fitted])
        told[fold == number] = model.predict(features[fold == number])
    assert found.predictions == pytest.approx(told)
    assert found.interval.estimate == pytest.approx(roc_auc_score(labels, told))
    assert found.p < 0.05
    assert found.interval.low > 0.5


def test_without_a_difference_one_half_is_excluded_in_one_of_twenty():
    """With many features and few units, where predictions of one fold hang together most."""
    draw, above, runs = np.random.default_rng(2), 0, 150
    for _ in range(runs):
        features = draw.normal(size=(60, 200)) * np.r_[6.0, np.ones(199)] / 14
        found = stats.cross_validated_auc(
            features @ features.T, draw.permutation(np.repeat([0.0, 1.0], 30)), rng=draw, permutations=100
        )
        above += found.interval.low > 0.5
    # One side of a two-sided interval.
    assert above / runs <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)


def test_bad_input_of_a_cross_validation_is_named():
    with pytest.raises(ValueError, match="shape"):
        stats.cross_validated_auc(np.eye(3), [0, 1], rng=np.random.default_rng())
    with pytest.raises(ValueError, match="at least 5"):
        stats.cross_validated_auc(np.eye(8), [0, 1] + [1] * 6, rng=np.random.default_rng())
