"""What cross-validation says of a model: its folds share most of what they were fitted on, and are not independent.

Taken as independent, their AUC would exclude one half too often, for instance in one of eight instead of one of twenty.
For a linear smoother the predictions are a matrix times the labels, so that the same classifier can be fitted to a
thousand permutations of the labels at once: that gives its spread under no difference exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.stats.intervals import Interval, normal_quantile
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


@dataclass(frozen=True)
class CrossValidated:
    """What a classifier finds on units that it was not fitted on.

    Attributes:
        predictions: of each unit, higher for class 1, (n,).
        interval: of the AUC: the estimate, more or less z times the spread of the AUC under permuted labels.
        p: one-sided chance of so high an AUC under permuted labels.
    """

    predictions: Floats
    interval: Interval
    p: float


def cross_validated_auc(
    kernel: NDArray[np.float64],
    labels: ArrayLike,
    *,
    rng: np.random.Generator,
    ridge: float = 1.0,
    folds: int = 5,
    permutations: int = 200,
    level: float = 0.95,
) -> CrossValidated:
    """Kernel ridge regression of the labels in folds, its AUC, and a permutation test of it.

    Args:
        kernel: inner products of the units' features, (n, n).
        labels: 0 or 1, (n,).
        rng: draws folds and permutations.
        ridge: added to the diagonal of the kernel.
        folds: how many.
        permutations: of the labels.
        level: confidence level.

    Raises:
        ValueError: the shapes differ, or a class has fewer units than there are folds.
    """
    y = as_values(labels, "labels")
    n = len(y)
    if kernel.shape != (n, n):
        raise ValueError(f"kernel: its shape is {kernel.shape}, and there are {n} labels")
    if min(y.sum(), n - y.sum()) < folds:
        raise ValueError(f"labels: {int(y.sum())} of {n} are 1; each class needs at least {folds} units")
    fold = rng.permutation(n) % folds
    smoother = np.zeros((n, n))
    for number in range(folds):
        out, fitted = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        within = kernel[np.ix_(fitted, fitted)] + ridge * np.eye(len(fitted))
        smoother[np.ix_(out, fitted)] = np.linalg.solve(within, kernel[np.ix_(fitted, out)]).T
    drawn = np.stack([y, *(rng.permutation(y) for _ in range(permutations))], axis=1)
    predictions = smoother @ (drawn - y.mean())
    areas = _areas(predictions, drawn)
    estimate, null = float(areas[0]), areas[1:]
    reach = normal_quantile(level) * float(np.sqrt(np.mean((null - 0.5) ** 2)))
    interval = Interval(estimate, max(0.0, estimate - reach), min(1.0, estimate + reach), level, "permutation-spread")
    p = (1 + int(np.count_nonzero(null >= estimate))) / (permutations + 1)
    return CrossValidated(predictions[:, 0], interval, p)


def _areas(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> Floats:
    """AUC of each column; ties by mid-ranks."""
    from scipy.stats import rankdata

    positive = labels.sum(0)
    ranks = (rankdata(scores, axis=0) * labels).sum(0)
    result: Floats = (ranks - positive * (positive + 1) / 2.0) / (positive * (len(labels) - positive))
    return result
