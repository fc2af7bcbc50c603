"""Clean answers against edited ones, case by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from audit.modules.arms import Arm
from audit.modules.base import Context
from audit.modules.outcomes import (
    Floats,
    RankOutcomes,
    ScoreOutcomes,
    order_of,
    rank_outcomes,
    score_outcomes,
)
from audit.types import Answer


@dataclass(frozen=True)
class Compared:
    """An arm and what the target answered to it.

    Attributes:
        arm: the edits.
        answers: one per case.
        queries: true queries that a search spent to find the edits.
    """

    arm: Arm
    answers: Sequence[Answer]
    queries: int = 0

    def head(self, n: int) -> Compared:
        """The same for the first n cases only."""
        return replace(self, arm=self.arm.head(n), answers=self.answers[:n])


@dataclass(frozen=True)
class Comparison:
    """The clean side of every comparison, judged once.

    Attributes:
        context: what is audited.
        clean: answers to the clean requests.
    """

    context: Context
    clean: Sequence[Answer]

    def head(self, n: int) -> Comparison:
        """The same for the first n cases only."""
        return Comparison(self.context.head(n), self.clean[:n])

    @cached_property
    def ranks(self) -> RankOutcomes:
        """Clean rankings, judged."""
        return rank_outcomes(self.context.cases, self.clean)

    @cached_property
    def scores(self) -> ScoreOutcomes:
        """Clean scores, by row."""
        return score_outcomes(self.context.cases, self.clean)

    @cached_property
    def order(self) -> RankOutcomes:
        """The order that the clean scores give."""
        return order_of(self.scores, self.context.cases)

    def losses(self, attacked: Compared) -> Floats:
        """How much each case lost: NDCG@k for rankings, wrongly turned decisions for scores."""
        cases = self.context.cases
        if self.context.task == "rank":
            return self.ranks.ndcg - rank_outcomes(cases, attacked.answers).ndcg
        after = score_outcomes(cases, attacked.answers)
        turned = (self.scores.right & ~after.right).astype(float)
        return np.bincount(self.scores.case, weights=turned, minlength=len(cases)).astype(float)

    def unreadable(self, arm: Compared) -> list[int]:
        """Cases whose clean answer could be read and whose edited answer cannot."""
        if self.context.task == "rank":
            before, after = self.ranks.valid, rank_outcomes(self.context.cases, arm.answers).valid
        else:
            before, after = self.scores.valid, score_outcomes(self.context.cases, arm.answers).valid
        return [int(i) for i in np.flatnonzero(before & ~after)]

    def describe(self, index: int, attacked: Compared) -> str:
        """What the edits did to one case, in one sentence."""
        case = self.context.cases[index]
        after = attacked.answers[index]
        if after.outcome != "ok":
            return f"the edited request got no readable answer ({after.outcome})"
        if self.context.task == "rank":
            return "; ".join(
                f"{self.context.dataset.catalog[item].title if item in self.context.dataset.catalog else item}: "
                f"{_rank(self.clean[index], item)} before, {_rank(after, item)} after"
                for item in sorted(case.relevant)
            )
        before, then = _by_id(self.clean[index]), _by_id(after)
        return "; ".join(
            f"{item.title}: {before[item.id]:.2f} → {then[item.id]:.2f} ({'liked' if label else 'not liked'})"
            for item, label in zip(case.request.candidates or (), case.labels, strict=True)
            if item.id in before and item.id in then and (before[item.id] > 0.5) != (then[item.id] > 0.5)
        )


def _rank(answer: Answer, item: str) -> str:
    return f"rank {answer.ids.index(item) + 1}" if item in answer.ids else "not listed"


def _by_id(answer: Answer) -> dict[str, float]:
    return {r.item_id: r.score for r in answer.ranked if r.item_id is not None and r.score is not None}
