"""Paired tests, and corrections for having made many of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from audit.stats.resampling import Floats, as_values, check_same_length

Alternative = Literal["two-sided", "greater", "less"]

# Up to this many nonzero differences all 2**n sign patterns are looked at.
_EXACT_UP_TO = 12
_MAX_CELLS = 1 << 20


def _check_alternative(alternative: str) -> None:
    if alternative not in ("two-sided", "greater", "less"):
        raise ValueError(f"alternative: {alternative!r} is not one of 'two-sided', 'greater', 'less'")


def paired_permutation(
    a: ArrayLike,
    b: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 10_000,
    alternative: Alternative = "two-sided",
) -> float:
    """Sign-flip test of mean(a - b) = 0 for units measured under both conditions (Fisher 1935).

    Under the null the two conditions could be swapped within any unit. Pairs that do not differ are the same either
    way and need no flips. With at most 12 pairs that differ, all sign patterns are enumerated and the p-value is exact;
    otherwise it is (hits + 1) / (permutations + 1), which keeps the size (Phipson & Smyth 2010).

    Args:
        a: one value per unit, shape (n,).
        b: one value per unit, in the same order, shape (n,).
        rng: source of the flips.
        permutations: number of random sign patterns.
        alternative: `greater` tests whether a exceeds b on average.

    Returns:
        The p-value; 1 when no pair differs.

    Raises:
        ValueError: the lengths differ, there is no unit, a value is not finite, or an option is unknown.
    """
    _check_alternative(alternative)
    x, y = as_values(a, "a"), as_values(b, "b")
    check_same_length(a=x, b=y)
    if len(x) == 0:
        raise ValueError("a and b: there is no unit to compare")
    if permutations < 1:
        raise ValueError(f"permutations: {permutations}; use at least 1, and 10000 for a report")
    d = x - y
    d = d[d != 0]
    if len(d) == 0:
        return 1.0
    if alternative == "less":
        d = -d
    n = len(d)
    if n <= _EXACT_UP_TO:
        patterns = np.arange(1 << n)[:, None] >> np.arange(n)
        return _hits((patterns & 1).astype(np.float64), d, alternative) / (1 << n)
    hits = 0
    rows = max(1, _MAX_CELLS // n)
    for start in range(0, permutations, rows):
        size = min(rows, permutations - start)
        bits = np.unpackbits(np.frombuffer(rng.bytes((size * n + 7) // 8), dtype=np.uint8), count=size * n)
        hits += _hits(bits.reshape(size, n).astype(np.float64), d, alternative)
    return (hits + 1) / (permutations + 1)


def _hits(keep: Floats, d: Floats, alternative: Alternative) -> int:
    """How many sign patterns (R, n), 1 to keep and 0 to flip, give a sum at least as extreme as all kept."""
    total = d.sum()
    sums = 2.0 * (keep @ d) - total
    rounding = 1e-12 * np.abs(d).sum()
    if alternative == "two-sided":
        return int(np.count_nonzero(np.abs(sums) >= abs(total) - rounding))
    return int(np.count_nonzero(sums >= total - rounding))


def mcnemar_exact(b: int, c: int, alternative: Alternative = "two-sided") -> float:
    """Exact McNemar test for paired yes/no outcomes (McNemar 1947): binomial on the pairs that disagree.

    It is conservative: with few discordant pairs it rejects less often than its level.

    Args:
        b: pairs with yes under the first condition only.
        c: pairs with yes under the second condition only.
        alternative: `greater` tests whether b-type pairs are the more frequent.

    Returns:
        The p-value; 1 when no pair disagrees.

    Raises:
        ValueError: a count is negative or the alternative is unknown.
    """
    _check_alternative(alternative)
    if b < 0 or c < 0:
        raise ValueError(f"b and c: {b} and {c} are counts of pairs and must not be negative")
    at_least_b = float(betainc(b, c + 1, 0.5)) if b > 0 else 1.0
    at_most_b = float(betainc(c, b + 1, 0.5)) if c > 0 else 1.0
    if alternative == "greater":
        return at_least_b
    if alternative == "less":
        return at_most_b
    return min(1.0, 2.0 * min(at_least_b, at_most_b))


def holm(p: ArrayLike) -> Floats:
    """Holm's adjusted p-values (Holm 1979): rejecting those at most α keeps the chance of any false one at α.

    Args:
        p: p-values, shape (m,).

    Returns:
        Adjusted p-values in the same order, shape (m,).

    Raises:
        ValueError: a value is not within [0, 1]. Leave out tests that were not made; do not pass NaN.
    """
    x, order = _sorted_p(p)
    stepped = np.maximum.accumulate(x[order] * np.arange(len(x), 0, -1))
    adjusted = np.empty_like(x)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini–Hochberg adjusted p-values (1995): rejecting those at most q keeps the false discovery rate at q.

    Args:
        p: p-values, shape (m,).

    Returns:
        Adjusted p-values in the same order, shape (m,).

    Raises:
        ValueError: a value is not within [0, 1]. Leave out tests that were not made; do not pass NaN.
    """
    x, order = _sorted_p(p)
    stepped = x[order] * len(x) / np.arange(1, len(x) + 1)
    adjusted = np.empty_like(x)
    adjusted[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return adjusted


def _sorted_p(p: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    x = as_values(p, "p")
    if np.any((x < 0) | (x > 1)):
        raise ValueError(f"p: {x[(x < 0) | (x > 1)][0]} is not within [0, 1]")
    return x, np.argsort(x, kind="stable")
