"""What cross-validation says of a model: its folds share most of what they were fitted on, and are not independent."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.intervals import Interval
from audit.stats.resampling import Floats, as_values, check_same_length


def row_placements(scores: ArrayLike, labels: ArrayLike) -> Floats:
    """For each positive row the share of negative rows that score lower, ties counting half; their mean is the AUC.

    Args:
        scores: (rows,), higher for positives.
        labels: (rows,), 0 or 1.

    Returns:
        (positives,) in the order of the rows.

    Raises:
        ValueError: the lengths differ, or a class is missing.
    """
    s, y = as_values(scores, "scores"), as_values(labels, "labels")
    check_same_length(scores=s, labels=y)
    negatives = np.sort(s[y == 0])
    positives = s[y == 1]
    if not len(negatives) or not len(positives):
        raise ValueError("labels: both classes are needed, 0 and 1")
    below = np.searchsorted(negatives, positives, side="left") + np.searchsorted(negatives, positives, side="right")
    result: Floats = below / (2.0 * len(negatives))
    return result


def cross_validated(
    values: ArrayLike, test_share: float, *, level: float = 0.95, bounds: tuple[float, float] | None = None
) -> tuple[Interval, float]:
    """Interval of a mean over the folds of a repeated cross-validation, and the test that it is above 0.

    The spread over folds is widened for what their training sets share: s² (1/J + test / train) (Nadeau & Bengio 2003,
    Machine Learning 52:239; for repeated folds Bouckaert & Frank, PAKDD 2004). The degrees of freedom are those of one
    repeat, for further repeats bring no further units: with J - 1, as in those papers, the interval of two models that
    learnt noise held 0 in 90 % of our simulations. A bootstrap or a permutation of the scores of fitted models takes
    the models as given, and finds a difference in noise three times as often as it should.

    Args:
        values: of every fold of every repeat, (J,), such as differences of two models' AUC; at least two.
        test_share: share of the units that a fold judges.
        level: confidence level.
        bounds: least and greatest possible value of the mean.

    Returns:
        The interval, and the one-sided p; 1 where all folds give 0.

    Raises:
        ValueError: there are fewer than two values, or the share is not between 0 and 1.
    """
    from scipy.stats import t

    x = as_values(values, "values")
    if len(x) < 2:
        raise ValueError(f"values: {len(x)} folds; at least 2 are needed")
    if not 0.0 < test_share < 1.0:
        raise ValueError(f"test_share: {test_share} must be between 0 and 1; it is one over the folds")
    mean, freedom = float(x.mean()), max(1, min(len(x), round(1.0 / test_share)) - 1)
    error = float(x.std(ddof=1)) * math.sqrt(1.0 / len(x) + test_share / (1.0 - test_share))
    half = float(t.ppf((1.0 + level) / 2.0, freedom)) * error
    low, high = mean - half, mean + half
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    if error == 0.0:
        return Interval(mean, low, high, level, "corrected-resampled-t"), 0.0 if mean > 0 else 1.0
    return Interval(mean, low, high, level, "corrected-resampled-t"), float(t.sf(mean / error, freedom))
