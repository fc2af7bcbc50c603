"""How an answer is read: what a recommendation is worth in it, on which scale, and whether it still stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from audit.defense import Defended
from audit.modules.base import Context
from audit.types import Answer

if TYPE_CHECKING:
    from audit.modules.explanation.explained import Case

Scale = Literal["logit of yes", "score", "logit margin", "score margin", "reciprocal rank", "share of samples"]
"""How v is read.

`logit of yes`: of the probability that a `score` target gives the item; `score` where its scores are no probabilities.
`logit margin`: log-odds over the runner-up of the clean answer, from log-probabilities (of labels, or a title's per
token) or from two probabilities of yes; `score margin` where scores are neither. `reciprocal rank`: 1 / place in the
list, 0 behind its end, for a target that shows no scores, or makes its list by votes. `share of samples`: of the draws
that name the item, for one that answers at random and shows no scores.
"""

_LEAST = 1e-15


@dataclass(frozen=True)
class Reading:
    """How answers are read.

    Attributes:
        scale: of v.
        random: whether the target's answers differ from draw to draw.
        task: that is asked.
    """

    scale: Scale
    random: bool
    task: str

    @classmethod
    def of(cls, context: Context, answers: Sequence[Answer]) -> Reading:
        """From the clean answers of all cases."""
        readable = [a for a in answers if a.outcome == "ok" and a.ranked]
        scores = [s for a in readable for s in a.scores]
        scored = bool(scores) and all(s is not None and math.isfinite(s) for s in scores)
        chances = scored and all(0.0 <= (s or 0.0) <= 1.0 for s in scores)
        scale: Scale
        if context.task == "score":
            scale = "logit of yes" if chances else "score"
        elif scored and not _votes(context.gateway.target):
            # A target that also answers `score` ranks by its probabilities of yes; elsewhere numbers between 0 and 1
            # may be anything. Log-probabilities are never positive.
            logs = all((s or 0.0) <= 0.0 for s in scores)
            odds = chances and "score" in context.info.tasks
            scale = "logit margin" if odds or logs else "score margin"
        else:
            scale = "share of samples" if context.info.randomised and not scored else "reciprocal rank"
        return cls(scale, context.info.randomised and not scored, context.task)

    @property
    def paired(self) -> bool:
        """Whether v is measured against the runner-up."""
        return self.scale in ("logit margin", "score margin")

    def value(self, answer: Answer, case: Case) -> float:
        """Of one answer, v; NaN where it cannot be read."""
        if answer.outcome != "ok":
            return float("nan")
        if self.scale in ("reciprocal rank", "share of samples"):
            place = answer.ids.index(case.item.id) + 1 if case.item.id in answer.ids else 0
            if self.scale == "share of samples":
                return float(place > 0)
            return 1.0 / place if place else 0.0
        return self.worth(answer, case.item.id, None if case.runner_up is None else case.runner_up.id)

    def lead(self, answer: Answer, item: str, second: str | None) -> float:
        """How far the first item is ahead; NaN without scores."""
        if self.scale in ("reciprocal rank", "share of samples") or second is None:
            return float("nan")
        return self.worth(answer, item, second)

    def stands(self, answer: Answer, case: Case) -> bool:
        """Whether an answer is still that recommendation."""
        if answer.outcome != "ok" or not answer.ranked:
            return False
        if case.yes is not None:
            return (self.worth(answer, case.item.id) > 0) == case.yes
        # An item that was taken out of the history may come back in the list: what changes then is what is left out of
        # it, not what is preferred. So for counterfactuals too (`decisions.Decider`).
        had = {event.item.id for event in case.request.user.history} - {case.item.id}
        order = order_of(answer, self.task)
        left = order if self.task == "score" else [name for name in order if name not in had]
        return bool(left) and left[0] == case.item.id

    def worth(self, answer: Answer, item: str, second: str | None = None) -> float:
        """Of an item, alone or against a second one; NaN without scores."""
        scores = {r.item_id: r.score for r in answer.ranked if r.score is not None and r.item_id is not None}
        if not scores:
            return float("nan")
        # What the list leaves out scored no more than its last entry.
        least = min(scores.values())
        mine, other = scores.get(item, least), 0.0
        if second is not None:
            other = scores.get(second, least)
        if self.scale == "logit of yes" or (self.scale == "logit margin" and all(0 <= s <= 1 for s in scores.values())):
            return _logit(mine) - (_logit(other) if second is not None else 0.0)
        return mine - other


def _votes(target: object) -> bool:
    """Whether lists are made by votes of many copies of a request.

    Shares of votes are no scores that sets of items could be compared by: they hang on how many copies there are, which
    a history's length decides, and one that is too short for copies is answered by the bare target, on its own scale.
    """
    while isinstance(target, Defended):
        if target.defense.family == "smoothing":
            return True
        target = target.target
    return False


def order_of(answer: Answer, task: str) -> list[str | None]:
    """Ids, best first."""
    if task != "score":
        return list(answer.ids)
    ranked = [r for r in answer.ranked if r.score is not None]
    return [r.item_id for r in sorted(ranked, key=lambda r: -(r.score or 0.0))]


def _logit(p: float) -> float:
    clipped = min(max(p, _LEAST), 1.0 - _LEAST)
    return math.log(clipped) - math.log1p(-clipped)
