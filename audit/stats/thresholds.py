"""Thresholds of detectors, set on clean data alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.resampling import as_values


class Threshold(NamedTuple):
    """A threshold and what it promises.

    Attributes:
        value: an alarm is raised above it, not at it.
        fpr: upper bound on the chance that a fresh clean unit raises an alarm, over the draw of both samples.
    """

    value: float
    fpr: float


def threshold_at_fpr(clean: ArrayLike, fpr: float) -> Threshold:
    """The lowest threshold that at most a share `fpr` of clean units exceed.

    The (ceil((n + 1)(1 - fpr)))-th smallest of n clean values: a fresh unit, exchangeable with them, exceeds it with
    probability at most `fpr` (split conformal prediction; Vovk et al. 2005). With fewer than 1 / fpr - 1 values no
    threshold can promise that; then it is the largest value, with the promise that it can give, 1 / (n + 1).

    Args:
        clean: suspicion of clean units, shape (n,).
        fpr: between 0 and 1.

    Raises:
        ValueError: there are no values, one is not finite, or fpr is not between 0 and 1.
    """
    values = np.sort(as_values(clean, "clean"))
    if len(values) == 0:
        raise ValueError("clean: a threshold needs at least one clean value")
    if not 0 < fpr < 1:
        raise ValueError(f"fpr: {fpr} must lie between 0 and 1")
    n = len(values)
    # A hair below, so that (n + 1)(1 - fpr) does not round up over the whole number that it is.
    rank = min(n, math.ceil((n + 1) * (1 - fpr) - 1e-9))
    rank = max(rank, 1)
    return Threshold(float(values[rank - 1]), 1 - rank / (n + 1))
