"""How alike two attributions are, and how much an attribution hangs on position: pure functions."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.resampling import as_values, check_same_length

_ALIKE = 1e-9


def kendall_tau_b(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's τ-b of two attributions of the same players (Kendall 1945), with ties, -1 to 1.

    Args:
        a: one value per player, shape (n,).
        b: one value per player, in the same order, shape (n,).

    Returns:
        NaN where one of them has no two different values: it orders nothing.
    """
    x, y = as_values(a, "a"), as_values(b, "b")
    check_same_length(a=x, b=y)
    upper = np.triu_indices(len(x), 1)
    first, second = (_signs(v)[upper] for v in (x, y))
    pairs = np.count_nonzero(first) * np.count_nonzero(second)
    return float(np.sum(first * second) / np.sqrt(pairs)) if pairs else float("nan")


def _signs(values: np.ndarray) -> np.ndarray:
    """Which of two players has more; differences that are mere rounding are none."""
    gaps = values[:, None] - values[None, :]
    scale = float(np.max(np.abs(values), initial=0.0))
    signs: np.ndarray = np.where(np.abs(gaps) <= _ALIKE * scale, 0.0, np.sign(gaps))
    return signs


def expected_jaccard(n: int, k: int) -> float:
    """Mean Jaccard index of two independent random sets of k among n: what chance gives.

    Raises:
        ValueError: k is not between 1 and n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"k: {k} must be between 1 and the number of players, {n}")
    shared = range(max(0, 2 * k - n), k + 1)
    return sum(comb(k, m) * comb(n - k, k - m) / comb(n, k) * m / (2 * k - m) for m in shared)


def within_slope(positions: ArrayLike, values: ArrayLike) -> float:
    """Slope of values on position within items, each item seen at several positions (a fixed effect per item).

    What an item is worth wherever it stands falls out, so that a user whose latest items matter more for what they are
    shows no slope.

    Args:
        positions: (orders, items) where each item stood.
        values: (orders, items) its attribution there.

    Returns:
        NaN where no item moved.
    """
    x, y = np.asarray(positions, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 2:
        raise ValueError(f"positions, values: shapes {x.shape} and {y.shape} must be one and the same (orders, items)")
    moved = x - x.mean(axis=0)
    spread = float(np.sum(moved**2))
    return float(np.sum(moved * y) / spread) if spread > 0 else float("nan")


def area(at: ArrayLike, curve: ArrayLike) -> float:
    """Area under a curve by trapezoids, as its mean height.

    Args:
        at: where it is known, rising, shape (m,), m at least 2.
        curve: its heights there, shape (m,).
    """
    x, y = as_values(at, "at"), as_values(curve, "curve")
    check_same_length(at=x, curve=y)
    if len(x) < 2 or np.any(np.diff(x) <= 0):
        raise ValueError("at: at least 2 rising places are needed")
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))
