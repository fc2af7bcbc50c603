"""Differences of two estimates of which only the intervals are known."""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri

from audit.stats.intervals import Interval, normal_quantile


def independent_difference(a: Interval, b: Interval) -> Interval:
    """Interval of `a - b` for estimates from independent samples, by squaring and adding their own margins.

    The lower end is d - √((a - a_low)² + (b_high - b)²), the upper end d + √((a_high - a)² + (b - b_low)²): Newcombe
    1998, method 10, for rates with Wilson intervals, and the MOVER of Zou & Donner 2008 for any two intervals. When the
    two samples are the same users and their values rise and fall together, it is too wide, never too narrow.

    Args:
        a: first estimate.
        b: second estimate, at the same level.

    Raises:
        ValueError: the levels differ.
    """
    if a.level != b.level:
        raise ValueError(f"level: {a.level} and {b.level} differ; a difference needs two intervals of one level")
    d = a.estimate - b.estimate
    below = math.hypot(a.estimate - a.low, b.high - b.estimate)
    above = math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(d, d - below, d + above, a.level, "square-and-add")


def z_test(difference: Interval) -> float:
    """Two-sided p-value of no difference, by reading the half of the interval that faces 0 as a normal margin.

    It agrees with the interval: p is below 1 - level exactly when 0 lies outside.
    """
    d = difference.estimate
    if d == 0.0:
        return 1.0
    margin = d - difference.low if d > 0 else difference.high - d
    if margin == 0.0:
        return 0.0
    return float(2.0 * ndtr(-abs(d) / margin * normal_quantile(difference.level)))


def minimum_detectable_shift(difference: Interval, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that `z_test` at `alpha` would have found with probability `power`.

    (z_{1-α/2} + z_power) · s, where s is the standard error that the wider half of the interval stands for.

    Args:
        difference: as found; only its width matters.
        alpha: two-sided level of the test.
        power: wanted chance of finding it.
    """
    half = max(difference.high - difference.estimate, difference.estimate - difference.low)
    error = half / normal_quantile(difference.level)
    return float((normal_quantile(1.0 - alpha) + ndtri(power)) * error)
