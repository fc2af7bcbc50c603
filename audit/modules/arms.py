"""Arms: the variants of the clean requests that a module compares with them.

Two families live here because several modules share them. *Ablations* take the user's history away, shuffle it, or
replace it by a stranger's; a target that does not mind does not use it. *Benign controls* change nothing that should
matter; what moves under them is the noise floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit.attack import writable_text
from audit.edits import CandidateReorder, Edit, HistoryDrop, HistoryInsert, HistoryReorder, TextEdit, apply
from audit.gateway import Ask
from audit.modules.base import Context
from audit.target import Input
from audit.types import Answer, Request

_SWAPS = 3
"""Neighbours exchanged by the benign history control: as many edits as the attacks on the history make."""


@dataclass(frozen=True)
class Arm:
    """One edited variant of every case.

    Attributes:
        id: name in params.
        title: for a report.
        edits: per case, in the cases' order; empty where a case offers nothing to edit.
        repeat: which repeat of the edited request is asked.
    """

    id: str
    title: str
    edits: tuple[tuple[Edit, ...], ...]
    repeat: int = 0

    @property
    def edited(self) -> int:
        """How many cases are changed, or asked again."""
        return self.changed or (len(self.edits) if self.repeat else 0)

    @property
    def changed(self) -> int:
        """How many cases have edits."""
        return sum(bool(e) for e in self.edits)

    def head(self, n: int) -> Arm:
        """The same for the first n cases only."""
        return replace(self, edits=self.edits[:n])

    def requests(self, context: Context) -> list[Request]:
        """The edited requests, in the cases' order."""
        return [apply(edits, request) for edits, request in zip(self.edits, context.requests, strict=True)]

    def asks(self, context: Context) -> list[Ask]:
        """The questions of this arm."""
        return [Ask(request, self.repeat) for request in self.requests(context)]

    def answers(self, context: Context) -> list[Answer]:
        """Ask them."""
        return context.gateway.ask(self.asks(context), label=self.title)


def repeat(context: Context) -> Arm:
    """The clean requests, asked once more."""
    return Arm("repeat", "The same question again", ((),) * len(context.cases), repeat=1)


def history_emptied(context: Context) -> Arm:
    """Every event dropped."""
    edits = tuple((HistoryDrop(0),) * len(r.user.history) for r in context.requests)
    return Arm("history_emptied", "History emptied", edits)


def history_shuffled(context: Context) -> Arm:
    """The same events in random order."""
    rng = context.rng("arms", "history_shuffled")
    return Arm("history_shuffled", "History shuffled", tuple(_reordered(r, rng) for r in context.requests))


def history_replaced(context: Context) -> Arm:
    """The history of another user of the sample, without the items that are asked about."""
    requests = context.requests
    if len(requests) < 2:
        return Arm("history_replaced", "History of another user", ((),) * len(requests))
    shift = 1 + int(context.rng("arms", "history_replaced").integers(len(requests) - 1))
    edits = []
    for i, request in enumerate(requests):
        asked = {c.id for c in request.candidates or ()} | context.cases[i].relevant
        other = [e for e in requests[(i + shift) % len(requests)].user.history if e.item.id not in asked]
        drops: tuple[Edit, ...] = (HistoryDrop(0),) * len(request.user.history)
        edits.append((*drops, *(HistoryInsert(at, event) for at, event in enumerate(other))))
    return Arm("history_replaced", "History of another user", tuple(edits))


def ablations(context: Context) -> list[Arm]:
    """All three, for a target that reads the history."""
    if Input.HISTORY not in context.info.honours:
        return []
    return [history_emptied(context), history_shuffled(context), history_replaced(context)]


def history_order(context: Context) -> Arm:
    """A few neighbours of the history exchanged, as two logs of the same second would differ.

    A full shuffle is no benign change for a sequential recommender: as a floor it would hide every attack on the
    history. Half of all neighbouring events of MovieLens-100K share their second, so this is what real data do.
    """
    rng = context.rng("arms", "history_order")
    edits: list[tuple[Edit, ...]] = []
    for request in context.requests:
        count = len(request.user.history)
        order = list(range(count))
        for at in rng.permutation(max(count - 1, 0))[:_SWAPS].tolist():
            order[at], order[at + 1] = order[at + 1], order[at]
        edits.append((HistoryReorder(tuple(order)),) if count > 1 else ())
    return Arm("history_order", "Neighbours in the history exchanged", tuple(edits))


def candidate_order(context: Context) -> Arm:
    """The same candidates in random order."""
    rng = context.rng("arms", "candidate_order")
    edits: list[tuple[Edit, ...]] = []
    for request in context.requests:
        count = len(request.candidates or ())
        order = rng.permutation(count)
        edits.append((CandidateReorder(tuple(order.tolist())),) if count > 1 else ())
    return Arm("candidate_order", "Candidates in another order", tuple(edits))


def paraphrase(context: Context) -> Arm:
    """The wording changed, the meaning kept.

    Uses the paraphrases that the target's owner declared; without any, a polite frame around the same words. A target
    that does not read an instruction gets the frame around the user's note.
    """
    rng = context.rng("arms", "paraphrase")
    known = context.info.paraphrases.get(context.task, ())
    edits: list[tuple[Edit, ...]] = []
    for request in context.requests:
        fields = [f for f in writable_text(request, context.info) if not f.startswith("item:")]
        if "instruction" in fields and request.instruction == context.info.instructions.get(context.task) and known:
            text = known[int(rng.integers(len(known)))]
            edits.append((TextEdit("instruction", 0, len(request.instruction), text),))
        elif fields:
            edits.append((TextEdit(fields[0], 0, 0, "Hello! "),))
        else:
            edits.append(())
    return Arm("paraphrase", "Benign paraphrase", tuple(edits))


def benign(context: Context) -> list[Arm]:
    """The controls that this target and these cases allow, the repeat first."""
    arms = [repeat(context)]
    if Input.HISTORY in context.info.honours:
        arms.append(history_order(context))
    arms += [candidate_order(context), paraphrase(context)]
    return [arm for arm in arms if arm.edited]


def _reordered(request: Request, rng: np.random.Generator) -> tuple[Edit, ...]:
    count = len(request.user.history)
    order = rng.permutation(count)
    return (HistoryReorder(tuple(order.tolist())),) if count > 1 else ()


def plan(arms: Sequence[Arm], context: Context) -> list[Ask]:
    """The clean requests and every arm, as questions."""
    return [*(Ask(r) for r in context.requests), *(ask for arm in arms for ask in arm.asks(context))]
