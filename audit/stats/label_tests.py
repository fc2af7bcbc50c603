"""Tests that shuffle labels within units: of repeated runs, of a value among placebos, and of values among each other.

Each unit's few possible relabellings are worked out once; a resample then only picks one of them per unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.stats.resampling import Floats

_MAX_CELLS = 1 << 20
_MAX_SPLITS = 4_000
_ROUNDING = 1e-12


@dataclass(frozen=True)
class RunComparison:
    """Two groups of runs of the same units, compared by the similarities between runs.

    Attributes:
        distance: (n,) energy distance D of each unit, ½(s_11 + s_22) - s_12.
        excess: (n,) similarity lost beyond the repeats of the first group, s_11 - s_12.
        dispersion: (n,) how much more alike the runs of the second group are, s_22 - s_11.
        p_distance: one-sided p-value of D.
        p_dispersion: two-sided p-value of the dispersion.
    """

    distance: Floats
    excess: Floats
    dispersion: Floats
    p_distance: float
    p_dispersion: float


def compare_runs(
    similarity: ArrayLike, first: int, *, rng: np.random.Generator, permutations: int = 9_999
) -> RunComparison:
    """Test whether two groups of runs come from the same distribution, by shuffling run labels within units.

    The statistic is the energy distance of the runs' kernel embedding (Székely & Rizzo 2013; Gretton et al. 2012, MMD²
    with the unbiased estimate): with a positive semidefinite similarity its expectation is 0 only for equal
    distributions. Self-pairs are left out.

    Args:
        similarity: symmetric, of every two runs of a unit, the first group's runs first, shape (n, runs, runs).
        first: how many runs belong to the first group; both groups need at least two.
        rng: source of the shuffles.
        permutations: number of shuffles; the smallest p-value is 1 / (permutations + 1).

    Raises:
        ValueError: another shape, a group with fewer than two runs, or a value that is not finite.
    """
    s = np.array(similarity, dtype=np.float64)
    if s.ndim != 3 or s.shape[1] != s.shape[2] or not len(s):
        raise ValueError(f"similarity: the shape must be (units, runs, runs), it is {s.shape}")
    runs = s.shape[1]
    second = runs - first
    if first < 2 or second < 2:
        raise ValueError(
            f"first: {first} of {runs} runs; each group needs at least 2, or nothing is known of its noise"
        )
    s[:, np.arange(runs), np.arange(runs)] = 0.0
    if not np.all(np.isfinite(s)):
        raise ValueError("similarity: a value is not finite; leave out units without a list")
    chosen = _splits(runs, first, rng)
    rest = 1.0 - chosen
    from_chosen, from_rest = chosen @ s, rest @ s  # (units, splits, runs)
    within = (from_chosen * chosen).sum(axis=2) / (first * (first - 1))
    other = (from_rest * rest).sum(axis=2) / (second * (second - 1))
    across = (from_chosen * rest).sum(axis=2) / (first * second)
    distance, dispersion = (within + other) / 2.0 - across, other - within
    reached, spread = _picked([distance, dispersion], rng, permutations)
    return RunComparison(
        distance[:, 0],
        within[:, 0] - across[:, 0],
        dispersion[:, 0],
        _p(reached, distance[:, 0].sum()),
        _p(np.abs(spread), abs(dispersion[:, 0].sum())),
    )


def exchange_test(own: ArrayLike, others: ArrayLike, *, rng: np.random.Generator, permutations: int = 9_999) -> float:
    """Test whether one condition stands out from its placebos, by exchanging it with them within units.

    Under the null the condition is one of the placebos: within a unit, any of them could have been it. The statistic
    is the mean over units of the condition minus the mean of the placebos.

    Args:
        own: of the condition, one value per unit, shape (n,).
        others: of the placebos, shape (n, placebos); NaN where a placebo has no value, with at least one per unit.
        rng: source of the exchanges.
        permutations: number of exchanges.

    Returns:
        The one-sided p-value: of a condition that lies above its placebos.

    Raises:
        ValueError: another shape, or a unit without a value or without a placebo.
    """
    x, y = np.asarray(own, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if x.ndim != 1 or y.ndim != 2 or len(x) != len(y) or not len(x):
        raise ValueError(f"own and others: shapes (n,) and (n, placebos) are needed, they are {x.shape} and {y.shape}")
    present = np.isfinite(y)
    if not np.all(np.isfinite(x)) or not np.all(present.any(axis=1)):
        raise ValueError("own and others: every unit needs a value and at least one placebo; leave the others out")
    table = np.concatenate([x[:, None], np.where(present, y, 0.0)], axis=1)
    count = 1 + present.sum(axis=1)
    total = table.sum(axis=1)
    effect = table - (total[:, None] - table) / (count - 1)[:, None]
    # Placebos without a value go to the end of their row, where no pick reaches.
    order = np.argsort(np.concatenate([np.zeros((len(x), 1), dtype=bool), ~present], axis=1), axis=1, kind="stable")
    (reached,) = _picked([np.take_along_axis(effect, order, axis=1)], rng, permutations, count)
    return _p(reached, effect[:, 0].sum())


@dataclass(frozen=True)
class Spread:
    """How far the means of several conditions lie apart.

    Attributes:
        estimate: the statistic.
        floor: its mean under shuffled labels: what it comes to where nothing is different.
        p: the permutation p-value.
    """

    estimate: float
    floor: float
    p: float


def spread_test(
    values: ArrayLike,
    statistic: Literal["range", "sd"] = "range",
    *,
    rng: np.random.Generator,
    permutations: int = 9_999,
) -> Spread:
    """Test whether conditions differ in their means, by shuffling their labels within units.

    With similarities to a neutral list as values, `range` is SNSR and `sd` is SNSV (Zhang et al. 2023, eqs. 1-2), the
    standard deviation with ddof=0. Both are positive where nothing is different; the floor says by how much.

    Args:
        values: one row per unit, one column per condition, at least two of each, shape (n, conditions).
        statistic: `range` or `sd` of the conditions' means.
        rng: source of the shuffles.
        permutations: number of shuffles.

    Raises:
        ValueError: another shape, or a value that is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < 1 or x.shape[1] < 2 or not np.all(np.isfinite(x)):
        raise ValueError(f"values: finite numbers, one row per unit and at least two columns; shape {x.shape}")
    estimate = float(spread_of(x.mean(axis=0)[None, :], statistic)[0])
    n, conditions = x.shape
    rows = max(1, _MAX_CELLS // x.size)
    null = np.empty(permutations)
    for start in range(0, permutations, rows):
        size = min(rows, permutations - start)
        order = np.argsort(rng.random((size, n, conditions), dtype=np.float32), axis=2)
        shuffled = np.take_along_axis(np.broadcast_to(x, (size, n, conditions)), order, axis=2)
        null[start : start + size] = spread_of(shuffled.mean(axis=1), statistic)
    return Spread(estimate, float(null.mean()), _p(null, estimate))


def spread_of(means: Floats, statistic: Literal["range", "sd"]) -> Floats:
    """Range or standard deviation (ddof=0) of each row of means, shape (rows, conditions)."""
    found: Floats = np.ptp(means, axis=1) if statistic == "range" else means.std(axis=1)
    return found


def _splits(runs: int, first: int, rng: np.random.Generator) -> Floats:
    """Ways to choose the first group, one per row as 0 and 1, the actual one first."""
    if math.comb(runs, first) <= _MAX_SPLITS:
        chosen = np.array(list(combinations(range(runs), first)))
    else:
        drawn = np.argsort(rng.random((_MAX_SPLITS, runs)), axis=1)[:, :first]
        chosen = np.concatenate([np.arange(first)[None, :], drawn])
    found = np.zeros((len(chosen), runs))
    np.put_along_axis(found, chosen, 1.0, axis=1)
    return found


def _picked(
    tables: list[Floats], rng: np.random.Generator, permutations: int, count: NDArray[np.intp] | None = None
) -> list[Floats]:
    """Per table (units, relabellings), sums over units of one relabelling each, drawn alike for all tables."""
    n, width = tables[0].shape
    sums: list[list[Floats]] = [[] for _ in tables]
    rows = max(1, _MAX_CELLS // n)
    for start in range(0, permutations, rows):
        size = min(rows, permutations - start)
        picks = rng.integers(0, width if count is None else count, size=(size, n))
        for table, kept in zip(tables, sums, strict=True):
            kept.append(table[np.arange(n), picks].sum(axis=1))
    return [np.concatenate(kept) for kept in sums]


def _p(null: Floats, observed: float) -> float:
    """(hits + 1) / (permutations + 1), which keeps the size (Phipson & Smyth 2010)."""
    reached = np.count_nonzero(null >= observed - _ROUNDING * max(1.0, abs(observed)))
    return (int(reached) + 1) / (len(null) + 1)
