"""Showing that something makes no difference worth speaking of: two one-sided tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.intervals import Interval, check_level
from audit.stats.resampling import Floats, _draws, as_values, mean_interval

_MAX_CELLS = 1 << 20
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Equivalence:
    """Whether a mean was shown to lie within a margin around 0.

    Attributes:
        interval: of the mean. It lies within the margin exactly when p is below half of what its level leaves out:
            a 90 % interval belongs to a test at .05.
        p: of the null hypothesis that the mean is at least the margin away from 0. A small one shows equivalence.
    """

    interval: Interval
    p: float


def equivalence(
    values: ArrayLike,
    margin: float,
    *,
    rng: np.random.Generator,
    level: float = 0.90,
    bounds: tuple[float, float] | None = None,
    resamples: int = 9_999,
) -> Equivalence:
    """Two one-sided tests that the mean of independent units lies within ±margin (TOST; Schuirmann 1987).

    Both tests, and the interval, come from one studentised bootstrap (Efron & Tibshirani 1993, 12.5). Distances are
    skewed: most units do not move, and a few move far. There a t-test takes a sample without the few for equivalent
    too often; the bootstrap's own t values are as skewed as the data, and a resample without spread counts against
    equivalence. Where no unit differs at all, n units can only exclude a share of `1 - alpha ** (1 / n)` that moves as
    far as the bounds let it: at a margin of .02 that takes 149 units.

    Args:
        values: one per unit, shape (n,).
        margin: largest mean that still counts as no difference, above 0.
        rng: source of the draws.
        level: coverage of the interval; the tests are made at (1 - level) / 2.
        bounds: the least and greatest value that a unit can have. Without bounds, values that are all equal have an
            interval without width, and no p-value below 1 unless there are two units.
        resamples: number of resamples.

    Raises:
        ValueError: fewer than two units, a value that is not finite or out of bounds, or a margin of 0 or less.
    """
    check_level(level)
    x = as_values(values, "values")
    if len(x) < 2:
        raise ValueError(f"values: {len(x)}; equivalence needs at least 2 units")
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"margin: {margin} must be above 0; it is the largest difference that counts as none")
    n, mean = len(x), float(x.mean())
    if np.ptp(x) <= _ROUNDING * float(np.max(np.abs(x))):
        interval = mean_interval(x, rng=rng, level=level, bounds=bounds)
        return Equivalence(interval, _unseen(float(x[0]), margin, n, bounds))
    if bounds is not None and (x.min() < bounds[0] or x.max() > bounds[1]):
        raise ValueError(f"values: they range from {x.min()} to {x.max()}, outside the bounds {bounds}")
    drawn = _studentised(x, rng, resamples)
    spread = float(x.std()) / math.sqrt(n)
    below = (1 + np.count_nonzero(drawn <= (mean - margin) / spread)) / (resamples + 1)
    above = (1 + np.count_nonzero(drawn >= (mean + margin) / spread)) / (resamples + 1)
    # `higher` and `lower` take values that were drawn: between a number and an infinity there is nothing.
    upper = float(np.quantile(drawn, (1.0 + level) / 2.0, method="higher"))
    lower = float(np.quantile(drawn, (1.0 - level) / 2.0, method="lower"))
    least, most = bounds if bounds is not None else (-np.finfo(np.float64).max, np.finfo(np.float64).max)
    low, high = max(mean - upper * spread, least), min(mean - lower * spread, most)
    return Equivalence(Interval(mean, min(low, mean), max(high, mean), level, "bootstrap-t"), float(max(below, above)))


def _studentised(x: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    """(resamples,) t values of resampled means around the mean; infinite where a resample has no spread."""
    n = len(x)
    scale = float(np.max(np.abs(x)))
    centre = (x - x.mean()) / scale
    drawn = []
    for weights in _draws(rng, n, resamples, max(1, _MAX_CELLS // n)):
        first = weights @ centre / n
        variance = (weights @ centre**2 / n - first**2) / n
        flat = variance <= _ROUNDING / n
        spread = np.sqrt(np.where(flat, 1.0, variance))
        drawn.append(np.where(flat, np.copysign(math.inf, first), first / spread))
    return np.concatenate(drawn)


def _unseen(value: float, margin: float, n: int, bounds: tuple[float, float] | None) -> float:
    """Chance of n equal values if the mean were at the margin, through units that lie at a bound."""
    if bounds is None or abs(value) >= margin:
        return 1.0
    shares = [(margin - value) / (bounds[1] - value), (value + margin) / (value - bounds[0])]
    return max((1.0 - min(share, 1.0)) ** n for share in shares)
