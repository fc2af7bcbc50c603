"""The door to the target, and how two of its answers are compared."""

from __future__ import annotations

import time
from collections.abc import Sequence

from audit.conformance.report import Observation
from audit.target import Recommender, describe
from audit.targets import wrap
from audit.types import Answer, Request

SAME_SCORE = 1e-6
"""Scores that differ by less, relatively, count as equal: float32 sums in another order differ by about that much."""


class Door:
    """Asks the target, in batches as large as it takes, and keeps what its answers were before they were checked."""

    def __init__(self, target: Recommender, batch_size: int | None) -> None:
        self.target = target
        self.info = describe(target)
        self.batch_size = batch_size
        self.sent = 0
        self.seconds = 0.0
        self.raw: list[Answer] = []
        self.seen: list[Observation] = []

    def recommend(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """The target's own method, with a record of what it returned."""
        answers = self.target.recommend(requests)
        if isinstance(answers, Sequence):
            self.raw += [a for a in answers if isinstance(a, Answer)]
        return answers

    def ask(self, requests: Sequence[Request], *, size: int | None = None) -> list[Answer]:
        """One Answer per request, checked against the contract."""
        size = size or self.batch_size or len(requests)
        answers: list[Answer] = []
        started = time.perf_counter()
        for start in range(0, len(requests), size):
            answers += wrap.ask(self, requests[start : start + size], name=self.info.name)
        self.seconds = (time.perf_counter() - started) / len(requests)
        self.sent += len(requests)
        return answers


def differs(a: Answer, b: Answer) -> bool:
    """Whether two answers recommend differently, rounding of scores aside."""
    return a.outcome != b.outcome or a.ids != b.ids or _gap(a, b) > SAME_SCORE or (not a.ranked and a.text != b.text)


def _gap(a: Answer, b: Answer) -> float:
    """Largest difference between scores of the same items, relative to their size where that is above 1."""
    theirs = {e.item_id: e.score for e in b.ranked if e.score is not None}
    pairs = [(e.score, theirs[e.item_id]) for e in a.ranked if e.score is not None and e.item_id in theirs]
    return max((abs(x - y) / max(1.0, abs(x), abs(y)) for x, y in pairs), default=0.0)


def widest(a: Sequence[Answer], b: Sequence[Answer]) -> float:
    """As `_gap`, over pairs of answers."""
    return max((_gap(x, y) for x, y in zip(a, b, strict=True)), default=0.0)
