"""Shapley values and what a removal curve says: pure functions of the values of sets of players.

A set of n players is a bitmask: player i belongs to set S when bit i of S is 1. `values[S]` is v(S), so the empty set
stands at 0 and all players at 2^n - 1.

Sources: Shapley (1953); Castro, Gómez and Tejada (2009) for sampling by permutations, Mitchell et al. (JMLR 2022) for
antithetic ones; DeYoung et al. (ACL 2020, ERASER) for comprehensiveness and sufficiency; Edin et al. (2024,
arXiv:2408.08137) for normalising them between the best and the worst order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST = 16
"""Players whose subsets are held in memory: 65,536 values."""


def subsets(n: int) -> list[frozenset[int]]:
    """All sets of n players, in the order of their bitmasks.

    Raises:
        ValueError: more players than subsets can be listed for.
    """
    _check_players(n)
    return [frozenset(i for i in range(n) if mask >> i & 1) for mask in range(1 << n)]


def mask_of(subset: frozenset[int]) -> int:
    """The bitmask of a set of players."""
    return sum(1 << i for i in subset)


def exact_shapley(values: ArrayLike) -> Floats:
    """Shapley values from the value of every set.

    φ_i = Σ_{S ∌ i} |S|! (n - |S| - 1)! / n! · (v(S ∪ i) - v(S)).

    Args:
        values: v(S) by bitmask, shape (2^n,).

    Returns:
        (n,). Their sum is v(N) - v(∅) up to rounding.

    Raises:
        ValueError: the number of values is no power of two.
    """
    v = np.asarray(values, dtype=np.float64)
    n = _players_of(v)
    masks = np.arange(len(v))
    sizes = np.array([int(m).bit_count() for m in masks])
    weight = np.array([factorial(s) * factorial(n - s - 1) / factorial(n) for s in range(n)])
    phi = np.zeros(n)
    for i in range(n):
        without = masks[(masks >> i & 1) == 0]
        phi[i] = float(np.sum(weight[sizes[without]] * (v[without | (1 << i)] - v[without])))
    return phi


def antithetic_orders(n: int, pairs: int, rng: np.random.Generator) -> Ints:
    """Random orders of n players, each followed by its reverse: shape (2 · pairs, n)."""
    forward = np.stack([rng.permutation(n) for _ in range(pairs)]) if pairs else np.zeros((0, n), np.int64)
    return np.stack([forward, forward[:, ::-1]], axis=1).reshape(2 * pairs, n).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Estimated:
    """Shapley values estimated from orders.

    Attributes:
        phi: (n,) estimates. They sum to v(N) - v(∅), for every order does.
        se: (n,) standard errors over independent pairs; infinite with a single pair.
        pairs: on how many pairs they rest.
    """

    phi: Floats
    se: Floats
    pairs: int


def half_width(se: ArrayLike, pairs: int, level: float = 0.95) -> Floats:
    """Half the interval of a value estimated from a few pairs, by Student's t with one degree less than pairs.

    From eight pairs a normal interval of 95 % covers 91 %.

    Args:
        se: (n,) standard errors; 0 stays 0.
        pairs: on how many they rest.
        level: confidence level.
    """
    from scipy.special import stdtrit

    errors = np.asarray(se, dtype=np.float64)
    wide = float(stdtrit(pairs - 1, (1.0 + level) / 2.0)) if pairs > 1 else np.inf
    return np.where(errors > 0, wide * np.where(errors > 0, errors, 1.0), 0.0)


def permutation_shapley(orders: ArrayLike, walks: ArrayLike) -> Estimated:
    """Shapley values from walks along antithetic pairs of orders.

    Args:
        orders: (2 · pairs, n), each odd row the reverse of the row before it (`antithetic_orders`).
        walks: (2 · pairs, n + 1): v(∅), v({first}), v({first, second}), …, v(N) along each order.

    Raises:
        ValueError: the shapes do not fit, or there is no pair.
    """
    rows, v = np.asarray(orders, dtype=np.int64), np.asarray(walks, dtype=np.float64)
    if rows.ndim != 2 or len(rows) == 0 or len(rows) % 2 or v.shape != (len(rows), rows.shape[1] + 1):
        raise ValueError(f"orders, walks: shapes {rows.shape} and {v.shape} must be (2p, n) and (2p, n + 1), p >= 1")
    gains = np.empty(rows.shape)
    np.put_along_axis(gains, rows, np.diff(v, axis=1), axis=1)
    # The two orders of a pair are dependent by design; the pairs are not, so they carry the error.
    means = gains.reshape(-1, 2, rows.shape[1]).mean(axis=1)
    pairs = len(means)
    se = means.std(axis=0, ddof=1) / np.sqrt(pairs) if pairs > 1 else np.full(rows.shape[1], np.inf)
    return Estimated(means.mean(axis=0), se, pairs)


def tied_groups(low: ArrayLike, high: ArrayLike) -> Ints:
    """Which values can be told apart: groups of overlapping intervals, 0 for the highest.

    Two values are in one group when a chain of overlapping intervals joins them, so groups can be ranked and their
    members cannot.

    Args:
        low: (n,) lower ends.
        high: (n,) upper ends.
    """
    bottoms, tops = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    group = np.zeros(len(bottoms), dtype=np.int64)
    number, reach = -1, -np.inf
    for place, i in enumerate(np.argsort(-tops, kind="stable")):
        if place == 0 or tops[i] < reach:
            number, reach = number + 1, bottoms[i]
        group[i] = number
        reach = min(reach, bottoms[i])
    return group


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation of two attributions of the same players, with mean ranks for ties.

    Returns:
        NaN where one of them has no two different values: it orders nothing.
    """
    from scipy.stats import rankdata

    first, second = (rankdata(np.asarray(x, dtype=np.float64)) for x in (a, b))
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def comprehensiveness(whole: float, without: ArrayLike) -> float:
    """Mean fall when the top items are taken away (AOPC): high for a faithful order.

    Args:
        whole: v(N).
        without: v(N without the first k of the order), one per k.
    """
    return float(whole - np.mean(np.asarray(without, dtype=np.float64)))


def sufficiency(whole: float, only: ArrayLike) -> float:
    """Mean fall when only the top items are left: low for a faithful order.

    Args:
        whole: v(N).
        only: v(the first k of the order), one per k.
    """
    return float(whole - np.mean(np.asarray(only, dtype=np.float64)))


def normalised_auc(curve: ArrayLike, whole: float, empty: float) -> float:
    """Area under a removal or insertion curve, each point put on the scale (v - v(∅)) / (v(N) - v(∅)).

    Args:
        curve: from v(N) to v(∅) for deletion, from v(∅) to v(N) for insertion, shape (n + 1,).
        whole: v(N).
        empty: v(∅).

    Returns:
        The area by trapezoids with steps of 1 / n; NaN where v(N) equals v(∅), for then there is nothing to share.
    """
    v = np.asarray(curve, dtype=np.float64)
    if np.isclose(whole, empty, rtol=1e-12, atol=1e-12) or len(v) < 2:
        return float("nan")
    return float(np.trapezoid((v - empty) / (whole - empty), dx=1.0 / (len(v) - 1)))


def extreme_orders(values: ArrayLike, sizes: Sequence[int], *, keep: bool = False) -> tuple[float, float]:
    """Least and greatest AOPC that any order of the items reaches, exactly.

    An order is a chain of nested sets, so the best chain is found set by set (dynamic programming over 2^n sets) and
    not by trying n! orders.

    Args:
        values: v(S) by bitmask, shape (2^n,).
        sizes: the k over which the mean is taken, each from 0 to n.
        keep: False for comprehensiveness (the first k are taken away), True for sufficiency (only they are left).

    Returns:
        (least, greatest) mean of v(N) - v(…).
    """
    v = np.asarray(values, dtype=np.float64)
    n = _players_of(v)
    if not sizes or any(not 0 <= k <= n for k in sizes):
        raise ValueError(f"sizes: {list(sizes)} must be some of 0 to {n}")
    full = len(v) - 1
    count = np.bincount(np.asarray(sizes), minlength=n + 1)
    low, high = np.full(len(v), np.inf), np.full(len(v), -np.inf)
    for mask in range(len(v)):
        here = count[mask.bit_count()] * (v[full] - v[mask if keep else full ^ mask])
        before = [mask ^ (1 << i) for i in range(n) if mask >> i & 1]
        low[mask] = here + (min(low[b] for b in before) if before else 0.0)
        high[mask] = here + (max(high[b] for b in before) if before else 0.0)
    return float(low[full] / len(sizes)), float(high[full] / len(sizes))


def between(value: float, worst: float, best: float) -> float:
    """Where a value lies between the worst (0) and the best (1); NaN where these are equal."""
    span = best - worst
    return float("nan") if abs(span) <= 1e-12 else float((value - worst) / span)


def _players_of(values: Floats) -> int:
    n = len(values).bit_length() - 1
    if values.ndim != 1 or len(values) != 1 << n:
        raise ValueError(f"values: shape {values.shape} must be (2^n,), one value per set of players")
    _check_players(n)
    return n


def _check_players(n: int) -> None:
    if not 0 <= n <= _MOST:
        raise ValueError(f"players: the sets of {n} cannot be listed; at most {_MOST} players have all of them tried")
