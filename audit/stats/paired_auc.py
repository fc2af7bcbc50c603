"""Whether one score tells classes apart better than another, on the same rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

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


def paired_auc_permutation(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    labels: ArrayLike,
    units: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 2000,
) -> float:
    """Chance of so much a higher AUC of the first score if the two could be exchanged within any unit.

    Scores are first turned into ranks, for the two may be on different scales (Venkatraman & Begg 1996, Biometrika
    83:835). All rows of a unit are exchanged together.

    Args:
        scores_a: (rows,).
        scores_b: (rows,), of the same rows.
        labels: (rows,), 0 or 1.
        units: (rows,), whose row it is.
        rng: source of the permutations.
        permutations: how many.

    Returns:
        One-sided p, at least 1 / (permutations + 1).

    Raises:
        ValueError: the lengths differ, or a class is missing.
    """
    from scipy.stats import rankdata

    y = as_values(labels, "labels")
    a, b = (rankdata(as_values(s, name)) for s, name in ((scores_a, "scores_a"), (scores_b, "scores_b")))
    _, unit = np.unique(np.asarray(units), return_inverse=True)
    check_same_length(scores_a=a, scores_b=b, labels=y, units=unit)
    if y.min() == y.max():
        raise ValueError("labels: both classes are needed, 0 and 1")
    positives = y == 1
    n, m = int(positives.sum()), int((~positives).sum())

    def gap(first: Floats, second: Floats) -> Floats:
        ranks = rankdata(first, axis=-1)[..., positives].sum(-1) - rankdata(second, axis=-1)[..., positives].sum(-1)
        result: Floats = ranks / (n * m)
        return result

    observed = float(gap(a, b))
    reached, left = 0, permutations
    while left:
        size = min(left, max(1, 1_000_000 // len(a)))
        swap = rng.integers(0, 2, size=(size, int(unit.max()) + 1), dtype=bool)[:, unit]
        # Equal gaps must count as equal, whatever the rounding.
        reached += int((gap(np.where(swap, b, a), np.where(swap, a, b)) >= observed - 1e-12).sum())
        left -= size
    return (reached + 1) / (permutations + 1)
