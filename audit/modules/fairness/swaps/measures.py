"""What two answers to one anchor can be compared by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from audit import metrics
from audit.modules.fairness.apart import apart
from audit.modules.fairness.design import Anchor, Reading

Between = Callable[[Anchor, Reading, Reading], float]

FEWEST_COMMON = 5
"""Common items below which an order of them says nothing."""


def rbo_distance(_: Anchor, a: Reading, b: Reading) -> float:
    """1 - RBO; for scores the mean absolute difference."""
    return apart(a, b)


def jaccard_distance(_: Anchor, a: Reading, b: Reading) -> float:
    """1 - Jaccard: which items, order aside."""
    return 1.0 - metrics.jaccard(a.names, b.names) if a.valid and b.valid else math.nan


def order_distance(_: Anchor, a: Reading, b: Reading) -> float:
    """(1 - τ) / 2 on the common items, 0 (same order) to 1 (reversed); NaN where fewer than five are common."""
    if not (a.valid and b.valid) or len(set(a.names) & set(b.names)) < FEWEST_COMMON:
        return math.nan
    tau = metrics.kendall_tau(a.names, b.names)
    return math.nan if tau is None else (1.0 - tau) / 2.0


def common_share(a: Reading, b: Reading) -> float:
    """Share of the longer list that both lists hold."""
    return len(set(a.names) & set(b.names)) / max(len(a.names), len(b.names)) if a.valid and b.valid else math.nan


def top_changes(_: Anchor, a: Reading, b: Reading) -> float:
    """1 if the first item is another one."""
    return float(a.names[0] != b.names[0]) if a.valid and b.valid else math.nan


def ndcg_gain(anchor: Anchor, a: Reading, b: Reading) -> float:
    """NDCG on held-out items of the first less that of the second."""
    if not (a.valid and b.valid and anchor.relevant):
        return math.nan
    return ndcg(anchor, a) - ndcg(anchor, b)


def ndcg(anchor: Anchor, reading: Reading) -> float:
    """NDCG on held-out items; NaN where it has none."""
    if not (reading.valid and anchor.relevant):
        return math.nan
    return metrics.ndcg(reading.names, anchor.relevant, reading.asked)


def score_gain(_: Anchor, a: Reading, b: Reading) -> float:
    """Mean score of the first less that of the second, over the candidates that both scored."""
    both = a.scores.keys() & b.scores.keys()
    return math.fsum(a.scores[i] - b.scores[i] for i in both) / len(both) if both else math.nan


def flips(cut: float) -> Between:
    """Share of candidates whose decision at a cut-off differs."""

    def between(_: Anchor, a: Reading, b: Reading) -> float:
        both = a.scores.keys() & b.scores.keys()
        return sum((a.scores[i] > cut) != (b.scores[i] > cut) for i in both) / len(both) if both else math.nan

    return between


def net_flips(cut: float) -> Between:
    """Share of candidates that only the first says yes to, less the share that only the second does."""

    def between(_: Anchor, a: Reading, b: Reading) -> float:
        both = a.scores.keys() & b.scores.keys()
        return math.fsum((a.scores[i] > cut) - (b.scores[i] > cut) for i in both) / len(both) if both else math.nan

    return between


def mean_between(measure: Between, anchor: Anchor, a: Sequence[Reading], b: Sequence[Reading]) -> float:
    """Mean over all pairs of repeats, one of each side; NaN unless every pair can be compared."""
    return math.fsum(measure(anchor, x, y) for x in a for y in b) / (len(a) * len(b))


def mean_among(measure: Between, anchor: Anchor, runs: Sequence[Reading]) -> float:
    """Mean over all pairs of repeats of one question; 0 if it was asked once."""
    found = [measure(anchor, x, y) for i, x in enumerate(runs) for y in runs[:i]]
    return math.fsum(found) / len(found) if found else 0.0
