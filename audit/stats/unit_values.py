"""What each unit contributes to a statistic that is no mean: ratios, Gini coefficients, the number of items reached.

Leaving one unit out at a time gives one number per unit, whose mean is the statistic and whose spread is its standard
error. So such a statistic can be tested, and compared before and after, like a mean.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from audit.stats.intervals import Interval, check_level
from audit.stats.resampling import Floats, Statistic, _draws, as_values
from audit.stats.significance import paired_permutation

_MAX_CELLS = 1 << 20


def unit_values(statistic: Statistic, n_units: int) -> Floats:
    """One number per unit whose mean is the statistic: its centred jackknife pseudo-values (Tukey 1958).

    T + (n - 1)(mean of T without one unit - T without this unit). A unit without which the statistic is undefined gets
    T itself.

    Args:
        statistic: maps weights (R, n_units) to R values, as for `bootstrap`.
        n_units: number of units, at least 2.

    Raises:
        ValueError: fewer than two units.
    """
    if n_units < 2:
        raise ValueError(f"n_units: {n_units}; leaving one out needs at least 2 units")
    rows = max(1, _MAX_CELLS // n_units)
    left: list[Floats] = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, n_units, rows):
            out = np.arange(start, min(start + rows, n_units))
            left.append(statistic((np.arange(n_units)[None, :] != out[:, None]).astype(np.float64)))
        whole = float(statistic(np.ones((1, n_units)))[0])
    return centred(whole, np.concatenate(left))


def centred(whole: float, without: ArrayLike) -> Floats:
    """Pseudo-values from a statistic and its values without each unit; see `unit_values`.

    Args:
        whole: the statistic over all units.
        without: the statistic without one unit, shape (n,); where it is not finite the unit counts as neutral.
    """
    left = np.asarray(without, dtype=np.float64)
    finite = np.isfinite(left)
    mean = float(left[finite].mean()) if finite.any() else whole
    values: Floats = np.where(finite, whole + (len(left) - 1) * (mean - np.where(finite, left, mean)), whole)
    return values


def jackknife_interval(
    values: ArrayLike, *, level: float = 0.95, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """Interval of a statistic from its unit values: estimate ± t · sd / √n.

    For statistics that a bootstrap distorts: a resample of users holds about 63 % of them, so it reaches fewer items
    and is more unequal than the sample, and its percentiles lie to one side. The jackknife variance errs upwards only
    (Efron & Stein 1981).

    Args:
        values: as `unit_values` gives them, shape (n,).
        level: confidence level.
        bounds: within which the statistic lies; the interval is cut there.

    Raises:
        ValueError: fewer than two values, or one that is not finite.
    """
    check_level(level)
    x = as_values(values, "values")
    if len(x) < 2:
        raise ValueError(f"values: {len(x)}; a spread needs at least 2 units")
    estimate, spread = float(x.mean()), float(x.std(ddof=1))
    if spread <= 1e-12 * float(np.max(np.abs(x))):
        return Interval(estimate, estimate, estimate, level, "constant")
    half = float(stdtrit(len(x) - 1, 0.5 + level / 2.0)) * spread / math.sqrt(len(x))
    low, high = max(bounds[0], estimate - half), min(bounds[1], estimate + half)
    return Interval(estimate, min(low, estimate), max(high, estimate), level, "jackknife")


def mean_test(values: ArrayLike, *, rng: np.random.Generator, resamples: int = 9_999) -> float:
    """Two-sided test that the mean of independent units is 0, by a studentised bootstrap (Efron & Tibshirani, 16.4).

    Unlike a test by sign flips it does not need symmetric values, so it fits shares of rare groups, which most users
    have none of. With fewer than about 20 units it rejects too often where the values are very skewed.

    Args:
        values: one per unit, or the unit values of a statistic, shape (n,).
        rng: source of the draws.
        resamples: number of resamples; the smallest p-value is 1 / (resamples + 1).

    Returns:
        The p-value; 1 when every value is 0, and the sign-flip test's when all are the same.

    Raises:
        ValueError: no value, or one that is not finite.
    """
    return float(mean_tests(as_values(values, "values")[None, :], rng=rng, resamples=resamples)[0])


def mean_tests(values: ArrayLike, *, rng: np.random.Generator, resamples: int = 9_999) -> Floats:
    """`mean_test` of several quantities on the same units, which share their resamples.

    Args:
        values: shape (tests, n).
        rng: source of the draws.
        resamples: number of resamples.

    Returns:
        The p-values, not corrected, shape (tests,).

    Raises:
        ValueError: another shape, no unit, or a value that is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] == 0 or not np.all(np.isfinite(x)):
        raise ValueError(f"values: finite numbers are needed, one row per test and at least one unit; shape {x.shape}")
    n = x.shape[1]
    scale = np.max(np.abs(x), axis=1, initial=0.0)
    p = np.ones(len(x))
    flat = (np.ptp(x, axis=1) <= 1e-12 * scale) if n >= 3 else np.ones(len(x), dtype=bool)
    for i in np.flatnonzero(flat & (scale > 0)):
        p[i] = paired_permutation(x[i], np.zeros(n), rng=rng, permutations=resamples)
    live = np.flatnonzero(~flat & (scale > 0))
    if not len(live):
        return p
    y = x[live] / scale[live, None]
    mean = y.mean(axis=1)
    seen = mean**2 / y.var(axis=1) * (1 - 1e-12)
    centre = y - mean[:, None]
    both = np.concatenate([centre, centre**2]).T
    hits = np.zeros(len(live))
    for weights in _draws(rng, n, resamples, max(1, _MAX_CELLS // n)):
        first, second = np.split(weights @ both / n, 2, axis=1)
        variance = second - first**2
        # A resample of equal values has no spread to be measured against, so it cannot speak against the null.
        drawn = np.divide(first**2, variance, out=np.full(first.shape, np.inf), where=variance > 1e-15)
        hits += np.count_nonzero(drawn >= seen, axis=0)
    p[live] = (hits + 1) / (resamples + 1)
    return p
