"""How far apart two answers are, and anchors made of the run's users: what the probes of hints share."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from audit import metrics
from audit.modules.base import Context
from audit.modules.fairness.design import Anchor, Reading
from audit.modules.fairness.statements import without
from audit.types import Case

VALIDITY_GAP = 0.02
"""Difference of the shares of unreadable answers beyond which a comparison of the readable ones is doubted."""


def first_cases(context: Context, count: int) -> list[Case]:
    """The first case of each of the first users of the run; 0 for all users."""
    found: dict[str, Case] = {}
    for case in context.cases:
        found.setdefault(case.unit, case)
    return list(found.values())[: count or None]


def user_anchors(context: Context, count: int, hidden: Collection[str]) -> list[Anchor]:
    """The first users of the run, saying nothing of some attributes.

    Args:
        context: of the run.
        count: how many at most; 0 for all.
        hidden: names of attributes that their requests must not hold.
    """
    cases = first_cases(context, count)
    return [Anchor(c.id, without(c.request, hidden), unit=c.unit, relevant=c.relevant) for c in cases]


def apart(a: Reading, b: Reading) -> float:
    """Distance of two answers, 0 (the same) to 1; NaN unless both can be read.

    For rankings 1 - RBO (extrapolated, p = .9): the first places count most, and lists of different lengths can be
    compared. For scores the mean absolute difference over the candidates that both scored.
    """
    if not (a.valid and b.valid):
        return math.nan
    if a.scores or b.scores:
        both = a.scores.keys() & b.scores.keys()
        return math.fsum(abs(a.scores[i] - b.scores[i]) for i in both) / len(both) if both else math.nan
    return 0.0 if a.names == b.names else 1.0 - metrics.rbo(a.names, b.names)


def mean_apart(a: Sequence[Reading], b: Sequence[Reading]) -> float:
    """Mean distance of the repeats of two questions, each with each; NaN unless all can be read."""
    return math.fsum(apart(x, y) for x in a for y in b) / (len(a) * len(b))


def self_apart(runs: Sequence[Reading]) -> float:
    """Mean distance of the repeats of one question from each other: 0 if it was asked once."""
    pairs = [apart(x, y) for i, x in enumerate(runs) for y in runs[:i]]
    if not pairs:
        return 0.0 if all(r.valid for r in runs) else math.nan
    return math.fsum(pairs) / len(pairs)


def utility(anchor: Anchor, reading: Reading) -> float:
    """NDCG of one list on the held-out items; 0 for an answer that cannot be read."""
    return metrics.ndcg(reading.names, anchor.relevant, reading.asked) if reading.names else 0.0


def unit_bounds(readings: Collection[Sequence[tuple[Reading, ...]]]) -> tuple[float, float] | None:
    """Bounds of a difference of distances: ±1 unless there are scores beyond 0 and 1."""
    scores = [s for by_anchor in readings for runs in by_anchor for r in runs for s in r.scores.values()]
    return (-1.0, 1.0) if all(0.0 <= s <= 1.0 for s in scores) else None
