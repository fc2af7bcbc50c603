"""The difference of two means of bounded values over units that have nothing to do with each other."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.intervals import Interval
from audit.stats.resampling import as_values, check_same_length, mean_interval


def independent_difference(
    a: ArrayLike,
    b: ArrayLike,
    *,
    rng: np.random.Generator,
    bounds: tuple[float, float],
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Interval of mean(a) - mean(b), from an interval of each mean by squaring and adding (MOVER).

    Zou and Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
    Medicine 27 (2008), equation 2. Each mean has its own bootstrap interval, which keeps a width where all values are
    equal: of two sides on which nothing was ever seen, a bootstrap of the difference would say that there is nothing.

    Args:
        a: one value per unit, (m,).
        b: one value per unit, of other units, (n,).
        rng: source of the draws.
        bounds: the least and the greatest value a unit can have.
        level: confidence level.
        resamples: of each side.

    Raises:
        ValueError: a side is empty, or a value is not finite or out of bounds.
    """
    one = mean_interval(a, rng=rng, level=level, resamples=resamples, bounds=bounds)
    two = mean_interval(b, rng=rng, level=level, resamples=resamples, bounds=bounds)
    gap, widest = one.estimate - two.estimate, bounds[1] - bounds[0]
    low = gap - math.hypot(one.estimate - one.low, two.high - two.estimate)
    high = gap + math.hypot(one.high - one.estimate, two.estimate - two.low)
    return Interval(gap, max(low, -widest), min(high, widest), level, "mover", one.dropped + two.dropped)


def coin_test(
    values: ArrayLike,
    chosen: ArrayLike,
    *,
    rng: np.random.Generator,
    two_sided: bool = False,
    permutations: int = 10_000,
) -> float:
    """Chance of so much higher a mean of those whom a coin chose, if being chosen changed nothing: a permutation test.

    The statistic is the plain difference of the means. The coin makes all units exchangeable, so that no variance need
    be estimated; a t statistic has none where all chosen units share one value and all others another.

    Args:
        values: one per unit, (n,).
        chosen: which units the coin chose, (n,).
        rng: source of the permutations.
        two_sided: whether a lower mean counts too.
        permutations: how many.

    Returns:
        p, at least 1 / (permutations + 1).

    Raises:
        ValueError: lengths differ, a value is not finite, or a side is empty.
    """
    x, inside = as_values(values, "values"), np.asarray(chosen, dtype=np.bool_)
    check_same_length(values=x, chosen=inside)
    count = int(inside.sum())
    if count in (0, len(x)):
        raise ValueError(f"chosen: {count} of {len(x)} units; both sides are needed")
    # With the sizes given, the sum of the chosen orders permutations as the difference of the means does.
    middle = count * x.mean()
    observed, hits, left = float(x[inside].sum() - middle), 0, permutations
    slack = 1e-9 * max(1.0, float(np.abs(x).sum()))
    while left:
        size = min(left, max(1, 4_000_000 // len(x)))
        drawn = rng.permuted(np.broadcast_to(x, (size, len(x))), axis=1)[:, :count].sum(axis=1) - middle
        reached = np.abs(drawn) >= abs(observed) - slack if two_sided else drawn >= observed - slack
        hits += int(np.count_nonzero(reached))
        left -= size
    return (hits + 1) / (permutations + 1)
