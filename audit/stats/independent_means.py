"""The difference of two means of bounded values over units that have nothing to do with each other."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.intervals import Interval
from audit.stats.resampling import mean_interval


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
