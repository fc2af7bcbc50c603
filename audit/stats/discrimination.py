"""AUC, pooled and per user, with cluster-bootstrap intervals over users.

Pooled AUC mostly measures which users like much; UAUC, the mean of the users' own AUCs, measures who knows their taste.
Report both.
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
    mean_interval,
)


def auc(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        scores: higher means more likely positive, shape (n,).
        labels: 0 or 1, shape (n,).
        weights: weight of each row, at least 0, shape (n,); ones if left out.

    Raises:
        ValueError: the lengths differ, a score is not finite, a label is not 0 or 1, or a class is missing.
    """
    s, y = _rows(scores, labels)
    w = np.ones(len(s)) if weights is None else as_values(weights, "weights")
    check_same_length(scores=s, weights=w)
    if np.any(w < 0) or not (w[y == 1].sum() > 0 and w[y == 0].sum() > 0):
        raise ValueError("weights: they must not be negative, and each class needs a positive weight")
    return float(_auc_of_weights(s, y, np.arange(len(s)))(w[None, :])[0])


def uauc(scores: ArrayLike, labels: ArrayLike, users: ArrayLike) -> tuple[float, int]:
    """Mean over users of each user's own AUC, every user counting once.

    Args:
        scores: higher means more likely positive, shape (n,).
        labels: 0 or 1, shape (n,).
        users: whose row it is, shape (n,).

    Returns:
        The mean, and the number of users it is over: those with rows of both classes.

    Raises:
        ValueError: as for `auc`, or no user has rows of both classes.
    """
    per_user = _auc_per_user(scores, labels, users)
    return float(per_user.mean()), len(per_user)


def auc_interval(
    scores: ArrayLike,
    labels: ArrayLike,
    users: ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
    method: BootstrapMethod = "bca",
) -> Interval:
    """Interval of the pooled AUC by a bootstrap over users: all rows of a user come and go together.

    Args:
        scores: higher means more likely positive, shape (n,).
        labels: 0 or 1, shape (n,).
        users: whose row it is, shape (n,); at least two users.
        rng: source of the draws.
        level: confidence level.
        resamples: number of resamples; those that lack a class are dropped and counted.
        method: `bca` or `percentile`.

    Raises:
        ValueError: as for `auc`, or there are fewer than two users.
    """
    s, y = _rows(scores, labels)
    unit, n_units = _units(users, s)
    return bootstrap(
        _auc_of_weights(s, y, unit), n_units, rng=rng, level=level, resamples=resamples, method=method, width=len(s)
    )


def uauc_interval(
    scores: ArrayLike,
    labels: ArrayLike,
    users: ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
    method: BootstrapMethod = "bca",
) -> Interval:
    """Interval of the UAUC by a bootstrap over the users with rows of both classes.

    It speaks about users like these; rows within a user are taken as given. Arguments and errors as for `auc_interval`,
    with at least two users who have rows of both classes.
    """
    per_user = _auc_per_user(scores, labels, users)
    return mean_interval(per_user, rng=rng, level=level, resamples=resamples, method=method, bounds=(0.0, 1.0))


def paired_auc_difference(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    labels: ArrayLike,
    users: ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
    method: BootstrapMethod = "bca",
) -> Interval:
    """Interval of AUC(a) - AUC(b) on the same rows, by a bootstrap over users. See `auc_interval`."""
    a, y = _rows(scores_a, labels)
    b, _ = _rows(scores_b, labels)
    unit, n_units = _units(users, a)
    auc_a, auc_b = _auc_of_weights(a, y, unit), _auc_of_weights(b, y, unit)
    return bootstrap(
        lambda w: auc_a(w) - auc_b(w), n_units, rng=rng, level=level, resamples=resamples, method=method, width=len(a)
    )


def paired_uauc_difference(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    labels: ArrayLike,
    users: ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
    method: BootstrapMethod = "bca",
) -> Interval:
    """Interval of UAUC(a) - UAUC(b) on the same rows, by a bootstrap over users. See `uauc_interval`."""
    # The same labels and users, so the same users have both classes and the pairs line up.
    gain = _auc_per_user(scores_a, labels, users) - _auc_per_user(scores_b, labels, users)
    return mean_interval(gain, rng=rng, level=level, resamples=resamples, method=method, bounds=(-1.0, 1.0))


def _rows(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    s, raw = as_values(scores, "scores"), as_values(labels, "labels")
    check_same_length(scores=s, labels=raw)
    y = raw.astype(np.int64)
    if np.any((raw != 0) & (raw != 1)):
        raise ValueError(f"labels: {raw[(raw != 0) & (raw != 1)][0]} is neither 0 nor 1")
    if len(y) == 0 or y.min() == y.max():
        raise ValueError("labels: AUC needs at least one row of each class, 0 and 1")
    return s, y


def _units(users: ArrayLike, scores: Floats) -> tuple[NDArray[np.intp], int]:
    """Row -> number of its user, and how many users there are."""
    names, unit = np.unique(np.asarray(users), return_inverse=True)
    check_same_length(scores=scores, users=unit)
    return unit, len(names)


def _auc_of_weights(scores: Floats, labels: NDArray[np.int64], unit: NDArray[np.intp]) -> Statistic:
    """AUC as a function of the units' weights (R, n_units), for rows that belong to units.

    A positive wins against the weight of all negatives that score below it, and half of the weight of those that tie:
    both are read off one cumulative sum over the sorted negatives.
    """
    order = np.argsort(scores, kind="stable")
    s, y, u = scores[order], labels[order], unit[order]
    negatives, units_of_negatives = s[y == 0], u[y == 0]
    positives, units_of_positives = s[y == 1], u[y == 1]
    first = np.searchsorted(negatives, positives, side="left")
    last = np.searchsorted(negatives, positives, side="right")

    def statistic(weights: Floats) -> Floats:
        below = np.zeros((len(weights), len(negatives) + 1))
        np.cumsum(weights[:, units_of_negatives], axis=1, out=below[:, 1:])
        positive = weights[:, units_of_positives]
        wins = np.einsum("rp,rp->r", positive, below[:, first])
        wins += np.einsum("rp,rp->r", positive, below[:, last])
        result: Floats = wins / (2.0 * positive.sum(axis=1) * below[:, -1])
        return result

    return statistic


def _auc_per_user(scores: ArrayLike, labels: ArrayLike, users: ArrayLike) -> Floats:
    """AUC of each user who has rows of both classes, in the order of the users' sorted names.

    The rank-sum form: (sum of the positives' mid-ranks - P(P + 1) / 2) / (P N), within each user.
    """
    s, y = _rows(scores, labels)
    unit, n_units = _units(users, s)
    order = np.lexsort((s, unit))
    s, y, unit = s[order], y[order], unit[order]
    is_new = np.ones(len(s), dtype=bool)
    is_new[1:] = (s[1:] != s[:-1]) | (unit[1:] != unit[:-1])
    starts = np.flatnonzero(is_new)
    sizes = np.diff(np.append(starts, len(s)))
    block = np.cumsum(is_new) - 1
    mid_rank = starts[block] + (sizes[block] + 1) / 2.0 - np.searchsorted(unit, unit)
    n_positive = np.bincount(unit, weights=y, minlength=n_units)
    n_negative = np.bincount(unit, weights=1 - y, minlength=n_units)
    rank_sum = np.bincount(unit, weights=mid_rank * y, minlength=n_units)
    both = (n_positive > 0) & (n_negative > 0)
    if not both.any():
        raise ValueError("users: no user has rows of both classes, so UAUC is undefined; give each user more rows")
    p, n = n_positive[both], n_negative[both]
    result: Floats = (rank_sum[both] - p * (p + 1) / 2.0) / (p * n)
    return result
