"""How alike two lists are: FaiRLLM's measures as its code computes them, and the same ideas without their flaws.

`compat` reproduces the published table and nothing else should be compared with it. `clean` takes repeats out, lies in
[0, 1] for lists of any length, and has no value for two empty lists: that is a failure to be counted, not agreement.
Throughout, x is the list under the value and y the neutral one: SERP and PRAG are not symmetric.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from audit import metrics

Floats = npt.NDArray[np.float64]
Names = Sequence[str]
Measure = Literal["rbo", "jaccard", "serp", "prag"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
PERSISTENCE = 0.9


# FaiRLLM's code (Zhang et al. 2023), on lists as they came, repeats included ------------------------------------------


def compat_jaccard(x: Names, y: Names, k: int) -> float:
    """Jaccard@k.

    Raises:
        ZeroDivisionError: both lists are empty.
    """
    a, b = set(x[:k]), set(y[:k])
    return len(a & b) / len(a | b)


def compat_serp(x: Names, y: Names, k: int) -> float:
    """SERP*@k, whose ranks start at 0 and whose greatest value is (k + 3) / (4 (k + 1)): .27381 at k = 20.

    0 if y is empty. A title counts once for each of its mentions in x and in y.
    """
    x, y = x[:k], y[:k]
    if not y:
        return 0.0
    held = Counter(y)
    return sum((len(x) - i + 1) * held[name] for i, name in enumerate(x)) / (2 * len(y) * (len(y) + 1))


def compat_prag(x: Names, y: Names, k: int) -> float:
    """PRAG*@k: the share of the pairs of x whose order y does not contradict. 0 if a list is empty.

    A list of one entry scores 1 where the lists are equal, else 0. The places of y are those of first mentions.
    """
    x, y = x[:k], y[:k]
    if not x or not y:
        return 0.0
    if len(x) == 1:
        return float(list(x) == list(y))
    place = {name: i for i, name in reversed(list(enumerate(y)))}
    agreed = sum(a in place and (b not in place or place[b] > place[a]) for i, a in enumerate(x) for b in x[i + 1 :])
    return agreed / math.comb(len(x), 2)


COMPAT: Mapping[str, Callable[[Names, Names, int], float]] = {
    "jaccard": compat_jaccard,
    "serp": compat_serp,
    "prag": compat_prag,
}


# The same ideas, mended -----------------------------------------------------------------------------------------------


def jaccard(x: Names, y: Names, k: int) -> float:
    """Jaccard@k of distinct names; NaN if both lists are empty."""
    a, b = _distinct(x, k), _distinct(y, k)
    return len(set(a) & set(b)) / len(set(a) | set(b)) if a or b else math.nan


def serp(x: Names, y: Names, k: int) -> float:
    """SERP@k, scaled to [0, 1]: the places of x that y shares, the first weighing k and the last 1.

    NaN if both lists are empty. It does not see the order of y.
    """
    a, b = _distinct(x, k), set(_distinct(y, k))
    if not a and not b:
        return math.nan
    return sum(k - i for i, name in enumerate(a) if name in b) / (k * (k + 1) / 2)


def prag(x: Names, y: Names, k: int) -> float:
    """PRAG@k over all pairs of k places; a short list counts as filled with names that no other list has.

    NaN if both lists are empty.
    """
    a, b = _distinct(x, k), _distinct(y, k)
    if not a and not b:
        return math.nan
    if k == 1:
        return float(a == b)
    place = {name: i for i, name in enumerate(b)}
    ranks = [place.get(name, math.inf) for name in a] + [math.inf] * (k - len(a))
    return sum(u < v for i, u in enumerate(ranks) for v in ranks[i + 1 :]) / math.comb(k, 2)


def rbo(x: Names, y: Names, k: int) -> float:
    """Rank-biased overlap, extrapolated, with p = .9; NaN if both lists are empty."""
    return metrics.rbo(x, y, PERSISTENCE, k) if x or y else math.nan


CLEAN: Mapping[Measure, Callable[[Names, Names, int], float]] = {
    "rbo": rbo,
    "jaccard": jaccard,
    "serp": serp,
    "prag": prag,
}


def _distinct(names: Names, k: int) -> list[str]:
    return list(dict.fromkeys(names))[:k]


# Every two of many lists ----------------------------------------------------------------------------------------------


def matrix(lists: Sequence[Names], k: int, measure: Measure) -> Floats:
    """The clean measure of every two lists, x in rows and y in columns.

    Args:
        lists: none of them empty.
        k: how many places count.
        measure: by name.

    Returns:
        Shape (lists, lists); for `rbo` and `jaccard` symmetric.
    """
    cut = [_distinct(names, k) for names in lists]
    number = {name: i for i, name in enumerate(dict.fromkeys(name for names in cut for name in names))}
    place = np.full((len(cut), len(number)), np.inf)
    for row, names in zip(place, cut, strict=True):
        row[[number[name] for name in names]] = np.arange(len(names))
    holds = np.isfinite(place).astype(np.float64)
    if measure == "jaccard":
        shared = holds @ holds.T
        size = holds.sum(axis=1)
        found: Floats = shared / (size[:, None] + size[None, :] - shared)
        return found
    if measure == "serp":
        weight: Floats = np.where(holds > 0, k - np.where(holds > 0, place, 0.0), 0.0) / (k * (k + 1) / 2)
        return np.asarray(weight @ holds.T, dtype=np.float64)
    if measure == "prag":
        return _prag_matrix(cut, place, number, k)
    return _rbo_matrix(place, holds.sum(axis=1))


def _prag_matrix(cut: Sequence[list[str]], place: Floats, number: Mapping[str, int], k: int) -> Floats:
    if k == 1:
        return np.array([[float(a == b) for b in cut] for a in cut])
    found = np.empty((len(cut), len(cut)))
    upper = np.triu(np.ones((k, k), dtype=bool), 1)
    for row, names in zip(found, cut, strict=True):
        ranks = np.full((len(cut), k), np.inf)
        ranks[:, : len(names)] = place[:, [number[name] for name in names]]
        row[:] = ((ranks[:, :, None] < ranks[:, None, :]) & upper).sum(axis=(1, 2)) / math.comb(k, 2)
    return found


def _rbo_matrix(place: Floats, length: Floats) -> Floats:
    """Webber, Moffat & Zobel 2010, eq. 32, for all pairs at once; see `audit.metrics.rbo`."""
    p = PERSISTENCE
    short, long = np.minimum(length[:, None], length[None, :]), np.maximum(length[:, None], length[None, :])
    total, at_short, at_long = np.zeros_like(short), np.zeros_like(short), np.zeros_like(short)
    for depth in range(1, int(length.max()) + 1):
        seen = (place < depth).astype(np.float64)
        overlap = seen @ seen.T
        at_short = np.where(short == depth, overlap, at_short)
        at_long = np.where(long == depth, overlap, at_long)
        missing = np.where(depth > short, at_short * (depth - short) / short, 0.0)
        total += np.where(depth <= long, (overlap + missing) / depth * p**depth, 0.0)
    found: Floats = np.minimum(1.0, (1.0 - p) / p * total + ((at_long - at_short) / long + at_short / short) * p**long)
    return found
