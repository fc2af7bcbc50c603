"""v(S): what a recommendation is worth to the target when only the players of S are left in its request.

What is explained is one item: the first of the clean answer. How its worth is read depends on what the target shows,
and is always said (`Scale`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from audit.gateway import Ask
from audit.modules.base import Context
from audit.modules.explanation.players import Operator, Player, Swap, kept, players, swaps_for
from audit.types import Answer, Item, Request

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Scale = Literal["logit of yes", "score", "logit margin", "score margin", "reciprocal rank", "share of samples"]
"""How v is read.

`logit of yes`: of the probability that a `score` target gives the item; `score` where its scores are no probabilities.
`logit margin`: log-odds over the runner-up of the clean answer, from log-probabilities (of labels, or a title's per
token) or from two probabilities of yes; `score margin` where scores are neither. `reciprocal rank`: 1 / place in the
list, 0 behind its end, for a target that shows no scores. `share of samples`: of the draws that name the item, for one
that answers at random and shows no scores.
"""

REPEATS = 3
"""How often the clean request is asked before its answer is explained."""
DRAWS = 20
"""Answers per set of a target that draws at random: the standard error of a share is then .11 at most."""
_LISTED = 100
"""Entries asked of a target that ranks its whole catalogue, so that the runner-up stays in sight."""
_LEAST = 1e-15
_ROUNDED = 0.05
"""Logits apart at which a target says the same: half precision rounds logits near 20 so."""
_BODIES = 3
"""Players taken away up to which the request is stored too, so that evidence can show it."""


@dataclass(frozen=True)
class Case:
    """One recommendation that is explained.

    Attributes:
        id: of the audit's case.
        unit: the user.
        request: as it is asked for the explanation: with the whole list wanted, or about the one item alone.
        item: what is explained.
        runner_up: what v is measured against; None where it is measured alone.
        margin: of the item over the second of the clean answer, on the scale of v; NaN without scores.
        said: what is explained, as a sentence.
        yes: for a `score` target with probabilities, whether it says yes to the item; None elsewhere.
    """

    id: str
    unit: str
    request: Request
    item: Item
    runner_up: Item | None
    margin: float
    said: str
    yes: bool | None = None


class Explained(NamedTuple):
    """What can be explained, and what cannot.

    Attributes:
        cases: with a stable recommendation.
        unstable: ids of the cases with no stable recommendation: the first item changes from repeat to repeat, or its
            lead lies within the noise of the repeats, or there is no lead.
        unanswered: ids of the cases whose answer could not be read, or names no item of the catalogue first.
    """

    cases: tuple[Case, ...]
    unstable: tuple[str, ...]
    unanswered: tuple[str, ...]


def clean_asks(context: Context, users: int, repeats: int = REPEATS) -> list[Ask]:
    """What `explained` asks first; what it asks in all is at most one question more per case."""
    return [Ask(whole(case.request), r) for case in context.cases[:users] for r in range(repeats)]


def explained(context: Context, users: int, *, repeats: int = REPEATS) -> Explained:
    """The first items of the clean answers, where they are stable.

    Args:
        context: what is audited.
        users: of how many cases.
        repeats: how often each is asked.
    """
    chosen = context.cases[:users]
    answers = context.gateway.ask(clean_asks(context, users, repeats), label="explained")
    groups = [answers[i * repeats : (i + 1) * repeats] for i in range(len(chosen))]
    reading = _Reading.of(context, [answer for group in groups for answer in group])
    cases: list[Case] = []
    unstable: list[str] = []
    unanswered: list[str] = []
    for case, group in zip(chosen, groups, strict=True):
        if any(answer.outcome != "ok" or not _order(answer, context.task) for answer in group):
            unanswered.append(case.id)
            continue
        orders = [_order(answer, context.task) for answer in group]
        request = whole(case.request)
        item = _known(context, request, orders[0][0])
        if item is None:
            unanswered.append(case.id)
            continue
        second = orders[0][1] if len(orders[0]) > 1 else None
        leads = np.array([reading.lead(answer, item.id, second) for answer in group])
        if not reading.random and len({order[0] for order in orders}) > 1:
            unstable.append(case.id)
            continue
        if context.task == "score":
            # What is explained is the yes or no to one item, so a tie with another one takes nothing from it.
            wavers = reading.scale == "logit of yes" and len({reading.worth(a, item.id) > 0 for a in group}) > 1
        else:
            wavers = second is not None and np.isfinite(leads).all() and leads.mean() <= max(2 * leads.std(), 1e-9)
        if wavers:
            unstable.append(case.id)
            continue
        runner_up = _known(context, request, second) if second is not None and reading.paired else None
        cases.append(
            Case(case.id, case.unit, request, item, runner_up, float(leads.mean()), _said(context, item, runner_up))
        )
    if reading.random:
        cases, wavering = _steady(context, cases, reading)
        unstable += wavering
    return Explained(tuple(_about_one(context, cases, reading)), tuple(unstable), tuple(unanswered))


class Values:
    """Answers v(S) for many cases and sets at once; equal questions are asked once.

    Attributes:
        context: what is audited.
        cases: what is explained.
        operator: how players are taken away.
        fields: whose parts are players.
        scale: how v is read.
        players: of each case.
    """

    def __init__(
        self,
        context: Context,
        cases: Sequence[Case],
        operator: Operator,
        fields: Sequence[str] = ("history",),
        *,
        draws: int = DRAWS,
    ) -> None:
        """Ask nothing yet.

        Args:
            context: what is audited.
            cases: as `explained` gives them.
            operator: how players are taken away.
            fields: whose parts are players.
            draws: answers per set of a target that draws at random.
        """
        self.context = context
        self.cases = tuple(cases)
        self.operator: Operator = operator
        self.fields = tuple(fields)
        self._reading = _Reading.again(context, self.cases)
        self.draws = draws if self._reading.random else 1
        self.players: tuple[tuple[Player, ...], ...] = tuple(players(case.request, self.fields) for case in self.cases)
        self.swaps: tuple[dict[str, Swap], ...] = tuple(
            self._swaps(case, theirs) for case, theirs in zip(self.cases, self.players, strict=True)
        )

    @property
    def scale(self) -> Scale:
        """How v is read."""
        return self._reading.scale

    def request(self, number: int, subset: frozenset[int]) -> Request:
        """The request of case `number` in which only the players of `subset` are left."""
        return kept(self.cases[number].request, self.players[number], subset, self.operator, self.swaps[number])

    def of(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[Floats]:
        """v(S) of every set.

        Args:
            subsets: per case, the sets of players that stay.

        Returns:
            Per case, one value per set; NaN where an answer could not be read.
        """
        return [means for means, _ in self._measured(subsets)]

    def errors(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[Floats]:
        """Standard errors of v(S): 0 for a target that does not draw."""
        return [errors for _, errors in self._measured(subsets)]

    def decisions(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[Bools]:
        """Whether the recommendation still stands: the item is first, or the answer to it is still the same.

        For a target that draws at random: whether half of the draws say so. An answer that cannot be read says no.
        """
        found = []
        for case, answers in zip(self.cases, self.answers(subsets), strict=True):
            stands = [[self._reading.stands(a, case) for a in group] for group in answers]
            found.append(np.array([np.mean(group) >= 0.5 for group in stands], dtype=np.bool_))
        return found

    def answers(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[list[list[Answer]]]:
        """The answers themselves: per case, per set, per draw."""
        questions = [
            (number, one, Ask(self.request(number, one), draw))
            for number, theirs in enumerate(subsets)
            for one in theirs
            for draw in range(self.draws)
        ]
        # Neighbours in a batch share the beginning of their prompts, which a language model here then reads once.
        order = sorted(
            range(len(questions)),
            key=lambda q: (
                questions[q][0],
                [i not in questions[q][1] for i in range(len(self.players[questions[q][0]]))],
            ),
        )
        replies: list[Answer] = [Answer()] * len(questions)
        for lean in (False, True):
            part = [q for q in order if lean == (len(self.players[questions[q][0]]) - len(questions[q][1]) > _BODIES)]
            asked = self.context.gateway.ask([questions[q][2] for q in part], label="attribution", lean=lean)
            for q, answer in zip(part, asked, strict=True):
                replies[q] = answer
        stream = iter(replies)
        return [[[next(stream) for _ in range(self.draws)] for _ in theirs] for theirs in subsets]

    def _measured(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[tuple[Floats, Floats]]:
        found = []
        for case, answers in zip(self.cases, self.answers(subsets), strict=True):
            each = np.array([[self._reading.value(a, case) for a in group] for group in answers], dtype=np.float64)
            each = each.reshape(len(answers), self.draws)
            spread = each.std(axis=1, ddof=1) / math.sqrt(self.draws) if self.draws > 1 else np.zeros(len(each))
            found.append((each.mean(axis=1), spread))
        return found

    def _swaps(self, case: Case, theirs: Sequence[Player]) -> dict[str, Swap]:
        if self.operator != "swap" and not any(p.field == "candidates" for p in theirs):
            return {}
        rng = self.context.rng("explanation", "swap", case.id)
        return swaps_for(case.request, theirs, self.context.dataset, rng, explained=case.item.id)


@dataclass(frozen=True)
class _Reading:
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
    def of(cls, context: Context, answers: Sequence[Answer]) -> _Reading:
        """From the clean answers of all cases."""
        readable = [a for a in answers if a.outcome == "ok" and a.ranked]
        scores = [s for a in readable for s in a.scores]
        scored = bool(scores) and all(s is not None and math.isfinite(s) for s in scores)
        chances = scored and all(0.0 <= (s or 0.0) <= 1.0 for s in scores)
        scale: Scale
        if context.task == "score":
            scale = "logit of yes" if chances else "score"
        elif scored:
            # A target that also answers `score` ranks by its probabilities of yes; elsewhere numbers between 0 and 1
            # may be anything. Log-probabilities are never positive.
            logs = all((s or 0.0) <= 0.0 for s in scores)
            odds = chances and "score" in context.info.tasks
            scale = "logit margin" if odds or logs else "score margin"
        else:
            scale = "share of samples" if context.info.randomised else "reciprocal rank"
        return cls(scale, context.info.randomised and not scored, context.task)

    @classmethod
    def again(cls, context: Context, cases: Sequence[Case]) -> _Reading:
        """The same for cases that were explained before: their clean answers are stored."""
        ids = {case.id for case in cases}
        chosen = [case for case in context.cases if case.id in ids]
        answers = context.gateway.ask([Ask(whole(case.request)) for case in chosen], label="explained")
        return cls.of(context, answers)

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
        order = _order(answer, self.task)
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


def _logit(p: float) -> float:
    clipped = min(max(p, _LEAST), 1.0 - _LEAST)
    return math.log(clipped) - math.log1p(-clipped)


def whole(request: Request) -> Request:
    """The same question with the whole list wanted, so that no item of it drops out of sight."""
    if request.task != "rank":
        return request
    return replace(request, k=max(request.k, len(request.candidates) if request.candidates is not None else _LISTED))


def _order(answer: Answer, task: str) -> list[str | None]:
    """Ids, best first."""
    if task != "score":
        return list(answer.ids)
    ranked = [r for r in answer.ranked if r.score is not None]
    return [r.item_id for r in sorted(ranked, key=lambda r: -(r.score or 0.0))]


def _known(context: Context, request: Request, item_id: str | None) -> Item | None:
    if item_id is None:
        return None
    offered = {item.id: item for item in request.candidates or ()}
    return offered.get(item_id) or context.dataset.catalog.get(item_id)


def _said(context: Context, item: Item, runner_up: Item | None) -> str:
    if context.task == "score":
        return f"It likes {item.title} best of what it was asked about"
    return f"It recommends {item.title}" + (f" before {runner_up.title}" if runner_up is not None else "")


def _steady(context: Context, cases: Sequence[Case], reading: _Reading) -> tuple[list[Case], list[str]]:
    """Of a target that draws at random, the cases whose item is named by half of the draws at least."""
    asks = [Ask(case.request, draw) for case in cases for draw in range(DRAWS)]
    answers = context.gateway.ask(asks, label="explained")
    steady: list[Case] = []
    wavering: list[str] = []
    for number, case in enumerate(cases):
        mine = answers[number * DRAWS : (number + 1) * DRAWS]
        named = [reading.value(a, case) for a in mine]
        if np.nansum(named) >= DRAWS / 2:
            steady.append(case)
        else:
            wavering.append(case.id)
    return steady, wavering


def _about_one(context: Context, cases: Sequence[Case], reading: _Reading) -> list[Case]:
    """`score` cases asked about their one item, where the target says the same of it alone: a tenth of the cost."""
    if context.task != "score":
        return list(cases)
    alone = [replace(case, request=replace(case.request, candidates=(case.item,))) for case in cases]
    pairs = [request for case, one in zip(cases, alone, strict=True) for request in (case.request, one.request)]
    answers = context.gateway.ask([Ask(request) for request in pairs], label="explained")
    found = []
    for number, (case, one) in enumerate(zip(cases, alone, strict=True)):
        among, single = (reading.value(a, case) for a in answers[2 * number : 2 * number + 2])
        near = _ROUNDED if reading.scale == "logit of yes" else 1e-3
        same = abs(among - single) <= near * max(1.0, abs(among))
        chosen = one if same else case
        if reading.scale == "logit of yes":
            said = f"It says {'yes' if among > 0 else 'no'} to {case.item.title}"
            chosen = replace(chosen, yes=among > 0, said=said)
        found.append(chosen)
    return found
