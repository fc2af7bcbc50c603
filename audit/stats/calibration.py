"""Do predicted probabilities mean what they say?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.resampling import Floats, as_values, check_same_length


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error with bins of equal mass: sum over bins of n_b / n * |mean p - mean y|.

    Naeini et al. 2015, with the adaptive bins of Nguyen & O'Connor 2015. It is never negative, and noise alone makes it
    positive: compare it with the value of a calibrated predictor at the same n before reading it as a flaw.

    Args:
        probabilities: predicted P(label = 1), shape (n,).
        labels: 0 or 1, shape (n,).
        bins: number of bins; at most one per row is used.

    Raises:
        ValueError: the lengths differ, there is no row, a value is out of range, or bins < 1.
    """
    p, y = _rows(probabilities, labels)
    if bins < 1:
        raise ValueError(f"bins: {bins}; at least one bin is needed")
    values, block = np.unique(p, return_inverse=True)
    # Rows that tie share their mean label, so a bin edge inside a tie cannot depend on the order of the rows.
    shared = np.bincount(block, weights=y, minlength=len(values)) / np.bincount(block, minlength=len(values))
    order = np.argsort(p, kind="stable")
    gaps = (p - shared[block])[order]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, min(bins, len(gaps)))) / len(gaps))


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Brier score (Brier 1950): mean squared distance of probability and label. 0 is perfect, 1 is worst.

    Args:
        probabilities: predicted P(label = 1), shape (n,).
        labels: 0 or 1, shape (n,).

    Raises:
        ValueError: the lengths differ, there is no row, or a value is out of range.
    """
    p, y = _rows(probabilities, labels)
    return float(np.mean((p - y) ** 2))


def _rows(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    p, y = as_values(probabilities, "probabilities"), as_values(labels, "labels")
    check_same_length(probabilities=p, labels=y)
    if len(p) == 0:
        raise ValueError("probabilities: there is no row, so there is nothing to calibrate")
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"probabilities: they range from {p.min()} to {p.max()}, outside [0, 1]")
    if np.any((y != 0) & (y != 1)):
        raise ValueError(f"labels: {y[(y != 0) & (y != 1)][0]} is neither 0 nor 1")
    return p, y
