"""Bounds on the mean of bounded values that hold for every distribution."""

from __future__ import annotations

import math

from audit.stats.intervals import Interval, Side, check_level


def hoeffding(mean: float, n: int, level: float = 0.95, *, side: Side = "two") -> Interval:
    """Hoeffding's bound on the mean of independent values between 0 and 1 (Hoeffding 1963, theorem 1).

    Wider than Clopper–Pearson where the values are 0 or 1; it asks for nothing but their range.

    Args:
        mean: of the n values.
        n: how many, at least 1.
        level: confidence level; for a one-sided bound all of `1 - level` lies on that side.
        side: `two`; `lower` for a lower bound (high is 1); `upper` for an upper bound (low is 0).

    Raises:
        ValueError: there is no value, the mean is not between 0 and 1, or `side` is unknown.
    """
    check_level(level)
    if n < 1:
        raise ValueError(f"n: {n} values; a mean needs at least one value")
    if not 0.0 <= mean <= 1.0:
        raise ValueError(f"mean: {mean} is not between 0 and 1")
    if side not in ("two", "lower", "upper"):
        raise ValueError(f"side: {side!r} is not one of 'two', 'lower', 'upper'")
    tail = (1.0 - level) / (2.0 if side == "two" else 1.0)
    half = math.sqrt(-math.log(tail) / (2.0 * n))
    low = 0.0 if side == "upper" else max(0.0, mean - half)
    high = 1.0 if side == "lower" else min(1.0, mean + half)
    return Interval(mean, low, high, level, "hoeffding")
