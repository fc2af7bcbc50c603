"""Average precision, with a cluster-bootstrap interval over users: for detectors of what is rare.

AUC does not mind how rare the positives are; whoever reads the flags does. Average precision says how pure the top of
the list is, and its chance level is the share of positives, so name that share beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.stats.intervals import Interval
from audit.stats.resampling import (
    BootstrapMethod,
    Floats,
    Statistic,
    as_values,
    bootstrap,
    check_same_length,
)


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Σ (R_n − R_{n−1}) P_n over the thresholds n, from the highest score down; equal scores share a threshold.

    Args:
        scores: higher means more likely positive, shape (n,).
        labels: 0 or 1, shape (n,).

    Raises:
        ValueError: the lengths differ, a score is not finite, a label is not 0 or 1, or there is no positive.
    """
    s, y = _rows(scores, labels)
    return float(_of_weights(s, y, np.arange(len(s)))(np.ones((1, len(s))))[0])


def average_precision_interval(
    scores: ArrayLike,
    labels: ArrayLike,
    users: ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
    method: BootstrapMethod = "bca",
) -> Interval:
    """Interval of the pooled average precision by a bootstrap over users: all rows of a user come and go together.

    Args:
        scores: higher means more likely positive, shape (n,).
        labels: 0 or 1, shape (n,).
        users: whose row it is, shape (n,); at least two users.
        rng: source of the draws.
        level: confidence level.
        resamples: number of resamples; those without a positive are dropped and counted.
        method: `bca` or `percentile`.

    Raises:
        ValueError: as for `average_precision`, or there are fewer than two users.
    """
    s, y = _rows(scores, labels)
    names, unit = np.unique(np.asarray(users), return_inverse=True)
    check_same_length(scores=s, users=unit)
    statistic = _of_weights(s, y, unit)
    return bootstrap(statistic, len(names), rng=rng, level=level, resamples=resamples, method=method, width=len(s))


def _rows(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    s, y = as_values(scores, "scores"), as_values(labels, "labels")
    check_same_length(scores=s, labels=y)
    if np.any((y != 0) & (y != 1)):
        raise ValueError(f"labels: {y[(y != 0) & (y != 1)][0]} is neither 0 nor 1")
    if not y.any():
        raise ValueError("labels: average precision needs at least one positive row")
    return s, y


def _of_weights(scores: Floats, labels: Floats, unit: NDArray[np.intp]) -> Statistic:
    """Average precision as a function of the units' weights (R, n_units)."""
    order = np.argsort(-scores, kind="stable")
    s, y, u = scores[order], labels[order], unit[order]
    # The last row of each run of equal scores: a threshold takes all of them in.
    ends = np.flatnonzero(np.append(s[1:] != s[:-1], True))

    def statistic(weights: Floats) -> Floats:
        rows = weights[:, u]
        taken = np.cumsum(rows, axis=1)[:, ends]
        hits = np.cumsum(rows * y, axis=1)[:, ends]
        precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
        gained = np.diff(hits, axis=1, prepend=0.0)
        result: Floats = (gained * precision).sum(axis=1) / hits[:, -1]
        return result

    return statistic
