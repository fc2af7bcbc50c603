"""What is explained: the first item of each clean answer, where it stands when the same is asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from audit.gateway import Ask
from audit.modules.base import Context
from audit.modules.explanation.reading import Reading, order_of
from audit.text import count
from audit.types import Item, Request

REPEATS = 3
"""How often the clean request is asked before its answer is explained."""
DRAWS = 20
"""Answers per set of a target that draws at random: the standard error of a share is then .11 at most."""
_LISTED = 100
"""Entries asked of a target that ranks its whole catalogue, so that the runner-up stays in sight."""
_ROUNDED = 0.05
"""Logits apart at which a target says the same: half precision rounds logits near 20 so."""


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
        items: how many of the latest items of the history are weighed, the others staying as they are; None for all.
    """

    id: str
    unit: str
    request: Request
    item: Item
    runner_up: Item | None
    margin: float
    said: str
    yes: bool | None = None
    items: int | None = None

    @property
    def weighed(self) -> int:
        """How many items of the history are."""
        there = len(self.request.user.history)
        return there if self.items is None else min(self.items, there)

    @property
    def first(self) -> int:
        """Place in the history of the oldest of them."""
        return len(self.request.user.history) - self.weighed


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


def explained(context: Context, users: int, *, items: int | None = None, repeats: int = REPEATS) -> Explained:
    """The first items of the clean answers, where they are stable.

    Args:
        context: what is audited.
        users: of how many cases.
        items: how many of the latest items of a history are weighed; None for all.
        repeats: how often each is asked.
    """
    chosen = context.cases[:users]
    answers = context.gateway.ask(clean_asks(context, users, repeats), label="explained")
    groups = [answers[i * repeats : (i + 1) * repeats] for i in range(len(chosen))]
    reading = Reading.of(context, [answer for group in groups for answer in group])
    cases: list[Case] = []
    unstable: list[str] = []
    unanswered: list[str] = []
    for case, group in zip(chosen, groups, strict=True):
        if any(answer.outcome != "ok" or not order_of(answer, context.task) for answer in group):
            unanswered.append(case.id)
            continue
        orders = [order_of(answer, context.task) for answer in group]
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
            Case(
                case.id,
                case.unit,
                request,
                item,
                runner_up,
                float(leads.mean()),
                _said(context, item, runner_up),
                items=items,
            )
        )
    if reading.random:
        cases, wavering = _steady(context, cases, reading)
        unstable += wavering
    return Explained(tuple(_about_one(context, cases, reading)), tuple(unstable), tuple(unanswered))


def unweighed(cases: Sequence[Case]) -> str:
    """What is not weighed of the histories, as the end of a note; empty where all of them is."""
    longer = [case for case in cases if case.first]
    if not longer:
        return ""
    of = count(len(longer), "history", "histories")
    return f"; of {of} only the latest {count(longer[0].weighed, 'item')} are weighed, older ones stay in the request"


def reading_of(context: Context, cases: Sequence[Case]) -> Reading:
    """How answers about cases that were explained before are read: their clean answers are stored."""
    ids = {case.id for case in cases}
    chosen = [case for case in context.cases if case.id in ids]
    answers = context.gateway.ask([Ask(whole(case.request)) for case in chosen], label="explained")
    return Reading.of(context, answers)


def whole(request: Request) -> Request:
    """The same question with the whole list wanted, so that no item of it drops out of sight."""
    if request.task != "rank":
        return request
    return replace(request, k=max(request.k, len(request.candidates) if request.candidates is not None else _LISTED))


def _known(context: Context, request: Request, item_id: str | None) -> Item | None:
    if item_id is None:
        return None
    offered = {item.id: item for item in request.candidates or ()}
    return offered.get(item_id) or context.dataset.catalog.get(item_id)


def _said(context: Context, item: Item, runner_up: Item | None) -> str:
    if context.task == "score":
        return f"It likes {item.title} best of what it was asked about"
    return f"It recommends {item.title}" + (f" before {runner_up.title}" if runner_up is not None else "")


def _steady(context: Context, cases: Sequence[Case], reading: Reading) -> tuple[list[Case], list[str]]:
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


def _about_one(context: Context, cases: Sequence[Case], reading: Reading) -> list[Case]:
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
