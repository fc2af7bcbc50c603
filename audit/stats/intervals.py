"""The Interval record, and intervals for a rate over independent trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

# scipy.special, not scipy.stats: the latter takes most of a second to import.
from scipy.special import betaincinv, ndtri

Side = Literal["two", "lower", "upper"]


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval. Always holds `low <= estimate <= high`, so none of them is NaN.

    Attributes:
        estimate: the point estimate, in the unit of the metric.
        low: lower end, same unit.
        high: upper end, same unit.
        level: confidence level, such as .95.
        method: how it was made, such as `wilson` or `bca`. `constant` marks a bootstrap in which no resample differed:
            such an interval has no width because the data could not show any, not because the value is certain.
        dropped: bootstrap resamples left out because the statistic was undefined on them.
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str
    dropped: int = 0

    def __post_init__(self) -> None:
        check_level(self.level)
        # Written so that a NaN anywhere fails it too.
        if not self.low <= self.estimate <= self.high:
            raise ValueError(
                f"interval: low <= estimate <= high must hold, but they are {self.low}, {self.estimate}, {self.high}"
            )

    def contains(self, value: float) -> bool:
        """Whether `value` lies in the closed interval."""
        return self.low <= value <= self.high

    def as_pair(self) -> tuple[float, float]:
        """`(low, high)`."""
        return (self.low, self.high)


def check_level(level: float) -> None:
    """Raise ValueError unless `0 < level < 1`."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level: {level} is not between 0 and 1; use .95 for a 95% interval")


def _check_counts(successes: int, n: int) -> None:
    if n < 1:
        raise ValueError(f"n: {n} trials; a rate needs at least one trial")
    if not 0 <= successes <= n:
        raise ValueError(f"successes: {successes} is not between 0 and the number of trials, {n}")


def normal_quantile(level: float) -> float:
    """The z for which a standard normal lies in [-z, z] with probability `level`."""
    check_level(level)
    return float(ndtri(0.5 + level / 2.0))


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson score interval of a rate over independent trials (Wilson 1927, without continuity correction).

    Its coverage is close to nominal on average over rates, also near 0 and 1, where the usual normal interval fails.
    For trials nested in users use `cluster_rate`.

    Args:
        successes: number of successes, 0 to n.
        n: number of trials, at least 1.
        level: confidence level.

    Raises:
        ValueError: there is no trial, or the count does not fit.
    """
    _check_counts(successes, n)
    z = normal_quantile(level)
    rate = successes / n
    shrink = 1.0 + z * z / n
    centre = (rate + z * z / (2.0 * n)) / shrink
    half = z * math.sqrt(rate * (1.0 - rate) / n + z * z / (4.0 * n * n)) / shrink
    # At 0 and n successes the ends are exactly 0 and 1; rounding must not move them past the estimate.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(rate, low, high, level, "wilson")


def clopper_pearson(successes: int, n: int, level: float = 0.95, *, side: Side = "two") -> Interval:
    """Clopper–Pearson interval of a rate (Clopper & Pearson 1934): never covers less often than `level`.

    The price is width. Use it for bounds that must hold, such as ε lower bounds and TPR at a low FPR.

    Args:
        successes: number of successes, 0 to n.
        n: number of trials, at least 1.
        level: confidence level; for a one-sided bound all of `1 - level` lies on that side.
        side: `two`; `lower` for a lower bound (high is 1); `upper` for an upper bound (low is 0).

    Raises:
        ValueError: there is no trial, the count does not fit, or `side` is unknown.
    """
    _check_counts(successes, n)
    check_level(level)
    if side not in ("two", "lower", "upper"):
        raise ValueError(f"side: {side!r} is not one of 'two', 'lower', 'upper'")
    tail = (1.0 - level) / (2.0 if side == "two" else 1.0)
    low, high = 0.0, 1.0
    if side != "upper" and successes > 0:
        low = float(betaincinv(successes, n - successes + 1, tail))
    if side != "lower" and successes < n:
        high = float(betaincinv(successes + 1, n - successes, 1.0 - tail))
    rate = successes / n
    # A one-sided bound at a level below one half can lie beyond the estimate.
    return Interval(rate, min(low, rate), max(high, rate), level, "clopper-pearson")
