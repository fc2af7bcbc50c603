"""How an adversary reads an answer: one number, the loss, which an attack tries to raise.

What there is to read depends on the target. With scores it is a smooth loss in nats, as in the papers; from the ranked
list alone it is a step function of the rank, with the exchange of other entries as the slope between the steps. An
answer that cannot be read is never a success: its loss is minus infinity.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit import metrics
from audit.attack.threat import Goal, Knowledge, Objective
from audit.target import Insight, TargetInfo
from audit.types import Answer, Catalog, Item, Request

UNREADABLE = -math.inf
_FLOOR = 1e-20
"""Least probability whose logarithm is taken, as in the released code of CheatAgent."""
_SLOPE = 0.1
"""Weight of the exchange of other entries, where only the list is seen: any change of rank weighs more."""


class Feedback(ABC):
    """What to ask about an edited request, and what the answer is worth to the adversary."""

    sees: Knowledge

    @property
    @abstractmethod
    def about(self) -> frozenset[str]:
        """Ids that the loss is about."""

    def ask(self, edited: Request) -> Request:
        """The question that shows the loss of an edited request."""
        return edited

    def loss(self, answer: Answer) -> float:
        """The adversary's loss, higher is better for the attack; minus infinity for an answer that cannot be read."""
        if answer.outcome != "ok" or not answer.ranked:
            return UNREADABLE
        value = self._loss(answer)
        return value if math.isfinite(value) else UNREADABLE

    @abstractmethod
    def _loss(self, answer: Answer) -> float:
        """The loss of a readable answer."""


@dataclass(frozen=True)
class ListedScores(Feedback):
    """The whole list of candidates with its scores.

    The loss is the negative log-softmax of the scores at the items in question, in nats: for log-probabilities exactly
    L_Rec of CheatAgent (Ning et al., KDD 2024, section 3.2); for other scores a smooth stand-in with the same order.
    """

    items: frozenset[str]
    raise_items: bool = False
    sees: Knowledge = "scores"

    @property
    def about(self) -> frozenset[str]:
        """Ids that the loss is about."""
        return self.items

    def ask(self, edited: Request) -> Request:
        """The same question, with all candidates listed."""
        return replace(edited, k=max(len(edited.candidates or ()), edited.k))

    def _loss(self, answer: Answer) -> float:
        scores = {r.item_id: r.score for r in answer.ranked if r.score is not None}
        wanted = [s for i, s in scores.items() if i in self.items]
        if not wanted:
            return UNREADABLE if self.raise_items or not scores else -math.log(_FLOOR)
        nll = _logsumexp(list(scores.values())) - _logsumexp(wanted)
        return -nll if self.raise_items else nll


@dataclass(frozen=True)
class ItemScores(Feedback):
    """The scores of the items in question alone, for a target that ranks its whole catalogue and scores on request."""

    items: tuple[Item, ...]
    raise_items: bool = False
    sees: Knowledge = "scores"

    @property
    def about(self) -> frozenset[str]:
        """Ids that the loss is about."""
        return frozenset(item.id for item in self.items)

    def ask(self, edited: Request) -> Request:
        """The score of the items in question, under the same prompt."""
        return replace(edited, task="score", candidates=self.items)

    def _loss(self, answer: Answer) -> float:
        scores = [r.score for r in answer.ranked if r.score is not None]
        if len(scores) < len(self.items):
            return UNREADABLE
        value = _logsumexp(scores)
        return value if self.raise_items else -value


@dataclass(frozen=True)
class ListedRanks(Feedback):
    """The ranked list alone: the discounted gain of the items in question, and the exchange of other entries.

    Attributes:
        items: ids in question.
        clean: names of the clean list, best first.
        raise_items: whether they should rise (promotion) or fall.
    """

    items: frozenset[str]
    clean: tuple[str, ...] = ()
    raise_items: bool = False
    sees: Knowledge = "ranking"

    @property
    def about(self) -> frozenset[str]:
        """Ids that the loss is about."""
        return self.items

    def _loss(self, answer: Answer) -> float:
        listed = tuple(i or f"\0{r.title}" for i, r in zip(answer.ids, answer.ranked, strict=True))
        ranks = [rank for rank, name in enumerate(listed, 1) if name in self.items]
        gain = 1.0 / math.log2(1 + min(ranks)) if ranks else 0.0
        if self.raise_items:
            return gain
        moved = 1.0 - metrics.rbo(self.clean, listed) if self.clean else 0.0
        return 1.0 - gain + _SLOPE * moved


@dataclass(frozen=True)
class Decisions(Feedback):
    """Yes/no probabilities: the mean negative log-likelihood of the decisions that should turn, in nats.

    Attributes:
        wanted: by item id, the decision the adversary wants to destroy (True for yes), or for a promotion to reach.
        raise_items: whether `wanted` should be reached.
    """

    wanted: Mapping[str, bool]
    raise_items: bool = False
    sees: Knowledge = "scores"

    @property
    def about(self) -> frozenset[str]:
        """Ids that the loss is about."""
        return frozenset(self.wanted)

    def _loss(self, answer: Answer) -> float:
        scores = {r.item_id: r.score for r in answer.ranked if r.score is not None}
        if any(item not in scores for item in self.wanted):
            return UNREADABLE
        nll = [
            -math.log(max(_probability(scores[i]) if yes else 1 - _probability(scores[i]), _FLOOR))
            for i, yes in self.wanted.items()
        ]
        value = float(np.mean(nll)) if nll else UNREADABLE
        return -value if self.raise_items else value


def feedback_for(
    info: TargetInfo,
    request: Request,
    clean: Answer,
    objective: Objective,
    relevant: frozenset[str] | None,
    catalog: Catalog,
) -> Feedback | None:
    """What an adversary can read about one request.

    Args:
        info: what the target declares.
        request: the clean request.
        clean: its answer.
        objective: what the adversary wants.
        relevant: the true next items (for `score`, the liked candidates); None in label-free mode, where the target's
            own clean answer takes their place: the first entry of the list, or the decisions at one half.
        catalog: the items.

    Returns:
        None when there is nothing to attack: a clean answer that cannot be read, in label-free mode.
    """
    promote = objective.goal == Goal.PROMOTE and objective.item_id is not None
    if request.task == "score":
        wanted = _decisions(request, clean, relevant, objective.item_id if promote else None)
        return Decisions(wanted, promote) if wanted else None
    if promote:
        items = frozenset({str(objective.item_id)})
    elif relevant is not None:
        items = relevant
    else:
        items = frozenset(i for i in clean.ids[:1] if i is not None)
    if not items:
        return None
    if Insight.SCORES in info.reveals:
        if request.candidates is not None:
            return ListedScores(items, promote)
        known = tuple(catalog[i] for i in sorted(items) if i in catalog)
        if "score" in info.tasks and known:
            return ItemScores(known, promote)
    names = tuple(i or f"\0{r.title}" for i, r in zip(clean.ids, clean.ranked, strict=True))
    return ListedRanks(items, names, promote)


def _decisions(
    request: Request, clean: Answer, relevant: frozenset[str] | None, promoted: str | None
) -> dict[str, bool]:
    candidates: Sequence[Item] = request.candidates or ()
    if promoted is not None:
        return {item.id: True for item in candidates if item.id == promoted}
    if relevant is not None:
        return {item.id: item.id in relevant for item in candidates}
    scores = {r.item_id: r.score for r in clean.ranked if r.score is not None}
    return {item.id: scores[item.id] > 0.5 for item in candidates if item.id in scores}


def _logsumexp(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values)) if math.isfinite(top) else top


def _probability(score: float) -> float:
    return min(max(score, 0.0), 1.0)
