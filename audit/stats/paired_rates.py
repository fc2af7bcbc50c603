"""The difference of two rates measured on the same units."""

from __future__ import annotations

import math

from scipy.optimize import brentq

from audit.stats.intervals import Interval, normal_quantile


def paired_rate_difference(b: int, c: int, n: int, level: float = 0.95) -> Interval:
    """Score interval of the difference of two paired rates, (b - c) / n (Tango 1998, Statistics in Medicine 17:891).

    Keeps its coverage where a bootstrap fails: with few pairs, and when no or all pairs disagree.

    Args:
        b: pairs with yes under the first condition only.
        c: pairs with yes under the second condition only.
        n: all pairs.
        level: confidence level.

    Raises:
        ValueError: the counts do not fit.
    """
    if n < 1 or min(b, c) < 0 or b + c > n:
        raise ValueError(f"b, c and n: {b}, {c}, {n}; b and c are counts among n ≥ 1 pairs")
    z = normal_quantile(level)

    def score(delta: float) -> float:
        # The other rate is profiled out: q is its maximum-likelihood value under this difference.
        big_b = -b - c + (2 * n - b + c) * delta
        big_c = -c * delta * (1 - delta)
        q = (math.sqrt(max(big_b * big_b - 8 * n * big_c, 0.0)) - big_b) / (4 * n)
        variance = n * (2 * q + delta * (1 - delta))
        gap = b - c - n * delta
        if variance <= 0:
            return 0.0 if gap == 0 else math.copysign(math.inf, gap)
        return gap / math.sqrt(variance)

    estimate = (b - c) / n
    edge = 1.0 - 1e-12
    low = -1.0 if score(-edge) < z else brentq(lambda d: min(score(d), 1e9) - z, -edge, estimate)
    high = 1.0 if score(edge) > -z else brentq(lambda d: max(score(d), -1e9) + z, estimate, edge)
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), level, "tango")
