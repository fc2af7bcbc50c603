"""Groups of units compared: tests by permuting who belongs where, adjusted gaps, and estimates pulled together.

The groups are of different units, so nothing here is paired. Labels are permuted over whole units; within strata, where
units of one stratum only are alike under the null hypothesis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtr, stdtrit

from audit.stats.intervals import Interval, check_level
from audit.stats.resampling import Floats, as_values, bootstrap, check_same_length

Bools = NDArray[np.bool_]

_MAX_CELLS = 1 << 20
_ROUNDING = 1e-12


def group_difference(
    values: ArrayLike, member: ArrayLike, *, rng: np.random.Generator, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """Bootstrap interval of the mean of the members minus the mean of all others.

    Args:
        values: one value per unit, shape (n,).
        member: whether the unit belongs to the group, shape (n,).
        rng: source of the draws.
        level: confidence level.
        resamples: number of resamples; those in which a side is empty are dropped and counted.

    Raises:
        ValueError: a side has no unit, a value is not finite, or the lengths differ.
    """
    x, inside = _sides(values, member)
    a, b = np.where(inside, x, 0.0), np.where(inside, 0.0, x)
    ones, zeros = inside.astype(float), (~inside).astype(float)
    return bootstrap(
        lambda w: (w @ a) / (w @ ones) - (w @ b) / (w @ zeros), len(x), rng=rng, level=level, resamples=resamples
    )


def group_difference_test(
    values: ArrayLike,
    member: ArrayLike,
    *,
    rng: np.random.Generator,
    strata: ArrayLike | None = None,
    permutations: int = 9999,
) -> float:
    """Permutation test that a group's mean is that of all others, two-sided.

    The statistic is Welch's t, so that the size holds, for large groups, also where one group varies more than the
    other (Janssen 1997). With strata, values are taken from the mean of their stratum and labels permuted within it:
    what the strata differ in is then no difference of the groups.

    Args:
        values: one value per unit, shape (n,).
        member: whether the unit belongs to the group, shape (n,).
        rng: source of the permutations.
        strata: which units may be exchanged, shape (n,); None for all.
        permutations: how many are drawn.

    Returns:
        The p-value; 1 where nothing varies, or no stratum holds both sides.

    Raises:
        ValueError: a side has no unit, a value is not finite, or the lengths differ.
    """
    x, inside = _sides(values, member)
    block = np.zeros(len(x), dtype=np.int64)
    if strata is not None:
        _, block = np.unique(np.asarray(strata), return_inverse=True)
        check_same_length(values=x, strata=block)
        x = x - (np.bincount(block, weights=x) / np.bincount(block))[block]
    observed = float(_welch(x, inside[None, :].astype(float))[0])
    if math.isnan(observed) or np.ptp(x) <= _ROUNDING * max(float(np.max(np.abs(x))), 1.0):
        return 1.0
    hits = 0
    for labels in _permuted(inside.astype(float), block, permutations, rng):
        t = _welch(x, labels)
        hits += int(np.count_nonzero(np.abs(t) >= abs(observed) * (1 - _ROUNDING)))
    return (hits + 1) / (permutations + 1)


@dataclass(frozen=True)
class GroupSpread:
    """How far the means of several groups lie apart.

    Attributes:
        value: the greatest mean minus the least.
        floor: its mean when labels are permuted: what chance alone makes of groups of these sizes.
        p: share of permutations that spread as far.
    """

    value: float
    floor: float
    p: float


def group_spread_test(
    values: ArrayLike, groups: ArrayLike, *, rng: np.random.Generator, permutations: int = 9999
) -> GroupSpread:
    """Permutation test that all groups have one mean, by the range of their means.

    The range of many means is large by chance: 21 occupations of MovieLens-100K with a standard deviation of .3 spread
    by .26 without any difference. So it is never to be read without its floor.

    Args:
        values: one value per unit, shape (n,).
        groups: label of each unit, shape (n,).
        rng: source of the permutations.
        permutations: how many are drawn.

    Raises:
        ValueError: fewer than two groups, a value is not finite, or the lengths differ.
    """
    x = as_values(values, "values")
    _, code = np.unique(np.asarray(groups), return_inverse=True)
    check_same_length(values=x, groups=code)
    count = int(code.max()) + 1 if len(code) else 0
    if count < 2:
        raise ValueError(f"groups: {count}; a spread needs at least 2 groups")
    sizes = np.bincount(code).astype(float)
    means = np.bincount(code, weights=x) / sizes
    observed = float(np.ptp(means))
    ends = np.cumsum(sizes).astype(np.int64)
    starts = np.concatenate([[0], ends[:-1]])
    drawn = []
    rows = max(1, _MAX_CELLS // len(x))
    for start in range(0, permutations, rows):
        mixed = rng.permuted(np.broadcast_to(x, (min(rows, permutations - start), len(x))), axis=1)
        drawn.append(np.ptp(np.add.reduceat(mixed, starts, axis=1) / sizes, axis=1))
    spread = np.concatenate(drawn)
    hits = int(np.count_nonzero(spread >= observed - _ROUNDING * max(abs(observed), 1.0)))
    return GroupSpread(observed, float(spread.mean()), (hits + 1) / (permutations + 1))


def adjusted_difference(
    values: ArrayLike, member: ArrayLike, covariates: ArrayLike, *, level: float = 0.95
) -> tuple[Interval, float]:
    """A group's difference at equal covariates: ordinary least squares with HC3 errors (MacKinnon & White 1985).

    Args:
        values: one value per unit, shape (n,).
        member: whether the unit belongs to the group, shape (n,).
        covariates: shape (n, c); columns that do not vary are left out.
        level: confidence level.

    Returns:
        The interval of the group's coefficient, by Student's t, and its two-sided p-value.

    Raises:
        ValueError: too few units for so many covariates, or the covariates tell the group exactly.
    """
    check_level(level)
    x, inside = _sides(values, member)
    columns = np.asarray(covariates, dtype=np.float64).reshape(len(x), -1)
    if not np.all(np.isfinite(columns)):
        raise ValueError("covariates: they hold a value that is not finite; fill it or leave the unit out")
    spread = columns.std(axis=0)
    columns = (columns - columns.mean(axis=0))[:, spread > _ROUNDING] / spread[spread > _ROUNDING]
    design = np.column_stack([np.ones(len(x)), inside.astype(float), columns])
    n, p = design.shape
    if n <= p + 1:
        raise ValueError(f"values: {n} units are too few for {p - 2} covariates")
    if np.linalg.matrix_rank(design) < p:
        raise ValueError("covariates: they tell exactly who is in the group, or each other; leave one out")
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ (design.T @ x)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    residual = (x - design @ beta) / np.maximum(1.0 - leverage, _ROUNDING)
    meat = (design * (residual**2)[:, None]).T @ design
    error = math.sqrt(float((inverse @ meat @ inverse)[1, 1]))
    gap = float(beta[1])
    if error <= _ROUNDING:
        return Interval(gap, gap, gap, level, "constant"), 1.0 if gap == 0.0 else 0.0
    margin = float(stdtrit(n - p, 0.5 + level / 2.0)) * error
    return Interval(gap, gap - margin, gap + margin, level, "ols-hc3"), float(2.0 * stdtr(n - p, -abs(gap) / error))


def minimum_detectable_group_difference(
    sd: float, n_group: int, n_others: int, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest difference of two independent means that such groups would have shown: (z + z) σ √(1/n₁ + 1/n₂).

    Args:
        sd: standard deviation within groups.
        n_group: units in the group, at least 1.
        n_others: units outside of it, at least 1.
        alpha: level of the two-sided test.
        power: chance of finding it.

    Raises:
        ValueError: an argument is out of range.
    """
    if n_group < 1 or n_others < 1 or sd < 0 or not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(
            f"sd {sd}, n {n_group} and {n_others}, alpha {alpha}, power {power}: sizes must be at least 1, the "
            "standard deviation at least 0, and alpha and power between 0 and 1"
        )
    z = float(ndtri(1.0 - alpha / 2.0) + ndtri(power))
    return z * sd * math.sqrt(1.0 / n_group + 1.0 / n_others)


def shrunken(estimates: ArrayLike, variances: ArrayLike) -> Floats:
    """Estimates of several groups, pulled towards their common mean by how uncertain each is (empirical Bayes).

    The variance between groups is that of DerSimonian & Laird 1986; where it is estimated as 0 all groups get the mean.

    Args:
        estimates: one per group, shape (g,).
        variances: squared standard error of each, shape (g,), all above 0.

    Raises:
        ValueError: the lengths differ, there is no group, or a variance is not above 0.
    """
    y, v = as_values(estimates, "estimates"), as_values(variances, "variances")
    check_same_length(estimates=y, variances=v)
    if len(y) == 0 or np.any(v <= 0):
        raise ValueError("variances: every group needs one above 0")
    w = 1.0 / v
    mean = float(np.average(y, weights=w))
    scale = float(w.sum() - (w**2).sum() / w.sum())
    between = max(0.0, (float((w * (y - mean) ** 2).sum()) - (len(y) - 1)) / scale) if scale > 0 else 0.0
    pooled = float(np.average(y, weights=1.0 / (v + between)))
    result: Floats = pooled + between / (between + v) * (y - pooled)
    return result


def _sides(values: ArrayLike, member: ArrayLike) -> tuple[Floats, Bools]:
    x, inside = as_values(values, "values"), np.asarray(member, dtype=bool)
    check_same_length(values=x, member=inside)
    if not inside.any() or inside.all():
        raise ValueError("member: a difference needs at least one unit in the group and one outside of it")
    return x, inside


def _welch(x: Floats, labels: Floats) -> Floats:
    """Welch's t of the labelled against the others, for labels (R, n); infinite where nothing varies."""
    n = len(x)
    inside = labels.sum(axis=1)
    sums, squares = labels @ x, labels @ (x * x)
    mean = sums / inside
    other = (x.sum() - sums) / (n - inside)
    var = np.maximum(squares / inside - mean**2, 0.0) / np.maximum(inside - 1, 1)
    var_other = np.maximum((x @ x - squares) / (n - inside) - other**2, 0.0) / np.maximum(n - inside - 1, 1)
    error = np.sqrt(var + var_other)
    gap = mean - other
    scale = _ROUNDING * max(float(np.max(np.abs(x), initial=0.0)), 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        t: Floats = np.where(error > scale, gap / error, np.where(np.abs(gap) > scale, np.sign(gap) * np.inf, 0.0))
    return t


def _permuted(labels: Floats, block: NDArray[np.int64], count: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Labels (R, n) permuted within blocks, some rows at a time."""
    n = len(labels)
    order = np.argsort(block, kind="stable")
    sorted_labels, sorted_block = labels[order], block[order]
    rows = max(1, _MAX_CELLS // n)
    for start in range(0, count, rows):
        size = min(rows, count - start)
        # Keys of one block lie in an interval of their own, so sorting them mixes each block within itself.
        keys = rng.random((size, n)) + sorted_block
        mixed = np.empty((size, n))
        mixed[:, order] = sorted_labels[np.argsort(keys, axis=1)]
        yield mixed
