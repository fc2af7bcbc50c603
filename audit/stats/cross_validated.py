"""The AUC of a classifier on units that it was not fitted on, with an interval that knows that folds share their data.

The predictions of a fold come from one fit, and fits of different folds share most of their units. Taken as independent
their AUC would exclude one half too often, for instance in one of eight instead of one of twenty. For a linear smoother
the predictions are a matrix times the labels, so that the same classifier can be fitted to a thousand permutations of
the labels at once: that gives its spread under no difference exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.stats.intervals import Interval, normal_quantile
from audit.stats.resampling import Floats, as_values


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
