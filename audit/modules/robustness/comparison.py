"""Clean answers against edited ones, case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from audit.attack import Found
from audit.findings import Param
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
        found: what a search came to, one per case; empty where nothing was searched.
        more: the same arm with other seeds.
        params: what sets its findings apart from those of other arms of the same attack.
        attack: registered name of the attack; empty for a benign control.
    """

    arm: Arm
    answers: Sequence[Answer]
    found: tuple[Found, ...] = ()
    more: tuple[Compared, ...] = ()
    params: Mapping[str, Param] = field(default_factory=dict)
    attack: str = ""

    @property
    def draws(self) -> tuple[Compared, ...]:
        """The arm under each of its seeds."""
        return (self, *self.more)

    def head(self, n: int) -> Compared:
        """The same for the first n cases only."""
        return replace(
            self,
            arm=self.arm.head(n),
            answers=self.answers[:n],
            found=self.found[:n],
            more=tuple(other.head(n) for other in self.more),
        )


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


def losses(comparison: Comparison, draws: Sequence[Sequence[Answer]]) -> Floats:
    """What each case lost, as a mean over draws.

    NDCG@k for rankings; for scores, the share of the right decisions that turned wrong.

    Args:
        comparison: the clean side.
        draws: answers to the edited requests, one list per draw, each with one answer per case.

    Returns:
        (cases,) losses; negative where the edits helped.
    """
    cases = comparison.context.cases
    if comparison.context.task == "rank":
        ndcg: Floats = np.mean([rank_outcomes(cases, answers).ndcg for answers in draws], axis=0)
        return comparison.ranks.ndcg - ndcg
    clean = comparison.scores
    right = np.bincount(clean.case, weights=clean.right.astype(float), minlength=len(cases))
    turned = [clean.right & ~score_outcomes(cases, answers).right for answers in draws]
    wrong = [np.bincount(clean.case, weights=rows.astype(float), minlength=len(cases)) for rows in turned]
    shares: Floats = np.mean(wrong, axis=0) / np.maximum(right, 1.0)
    return shares


def _rank(answer: Answer, item: str) -> str:
    return f"rank {answer.ids.index(item) + 1}" if item in answer.ids else "not listed"


def _by_id(answer: Answer) -> dict[str, float]:
    return {r.item_id: r.score for r in answer.ranked if r.item_id is not None and r.score is not None}
