"""Whether a rate that was counted over repetitions keeps what is claimed of it, and what size a power curve can see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from audit.stats.intervals import clopper_pearson

Held = Literal["holds", "misses", "open"]
"""`open`: too few repetitions to say either."""


def held(successes: int, n: int, *, least: float = 0.0, most: float = 1.0, level: float = 0.95) -> Held:
    """Whether a rate is shown to lie within [least, most], shown to lie outside, or neither.

    By the exact interval of Clopper and Pearson. Against a limit on one side only, the interval is one-sided at the
    same level; against two, it is two-sided. `holds` where the interval lies within the limits, `misses` where it
    lies wholly outside: each of the two is wrong with a chance of at most 1 - level.

    Args:
        successes: of the trials.
        n: independent trials, at least 1.
        least: lowest rate that keeps the claim.
        most: highest rate that keeps it.
        level: of the interval.

    Raises:
        ValueError: there is no trial, the count does not fit, or `least` is not below `most`.
    """
    if not 0.0 <= least < most <= 1.0:
        raise ValueError(f"least, most: 0 <= {least:g} < {most:g} <= 1 must hold")
    both = least > 0.0 and most < 1.0
    low = clopper_pearson(successes, n, level, side="two" if both else "lower").low
    high = clopper_pearson(successes, n, level, side="two" if both else "upper").high
    if low >= least and high <= most:
        return "holds"
    outside = (least > 0.0 and high < least) or (most < 1.0 and low > most)
    return "misses" if outside else "open"


def mean_error(errors: Sequence[float]) -> tuple[float, float]:
    """Mean of estimates minus truths, and the standard error of that mean (sd / √n, ddof 1).

    Raises:
        ValueError: fewer than two errors.
    """
    if len(errors) < 2:
        raise ValueError(f"errors: {len(errors)}; a standard error needs at least 2")
    values = np.asarray(errors, dtype=np.float64)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def size_seen(sizes: Sequence[float], rates: Sequence[float], power: float) -> float | None:
    """The smallest size from which on a detection rate is at least `power`, straight between measured sizes.

    A rate that dips below `power` again at a larger size does not count as reached before. None where the largest
    size does not reach it.

    Args:
        sizes: rising.
        rates: detection rate at each.
        power: wanted, such as .95.

    Raises:
        ValueError: the two differ in length, or sizes do not rise.
    """
    if len(sizes) != len(rates) or list(sizes) != sorted(set(sizes)):
        raise ValueError("sizes: they must rise, with one rate for each")
    if not sizes or rates[-1] < power:
        return None
    first = len(sizes) - 1
    while first > 0 and rates[first - 1] >= power:
        first -= 1
    if first == 0:
        return float(sizes[0])
    below, above = rates[first - 1], rates[first]
    return float(sizes[first - 1] + (power - below) / (above - below) * (sizes[first] - sizes[first - 1]))


def at_n(n: int, known: dict[int, float]) -> tuple[float, int, int]:
    """What is known at some n, taken to another n: straight in 1 / √n, as the width of intervals goes.

    Args:
        n: where it is wanted.
        known: by n; not empty.

    Returns:
        The value, and the two measured n around it: equal where n was measured, or lies beyond what was measured; the
        nearest measured value stands then.

    Raises:
        ValueError: nothing is known.
    """
    if not known:
        raise ValueError("known: it is empty")
    below = [m for m in known if m <= n]
    above = [m for m in known if m >= n]
    if not below or not above:
        near = min(known) if not below else max(known)
        return known[near], near, near
    low, high = max(below), min(above)
    if low == high:
        return known[low], low, high
    share = (low**-0.5 - n**-0.5) / (low**-0.5 - high**-0.5)
    return known[low] + share * (known[high] - known[low]), low, high
