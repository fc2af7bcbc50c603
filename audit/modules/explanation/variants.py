"""The same recommendation asked about otherwise: in another order, in other words, with an item put in or doubled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from audit.edits import Edit, HistoryInsert, HistoryReorder, HistoryReplace, TextEdit, apply
from audit.modules.explanation.explained import Case
from audit.modules.explanation.players import PLACEHOLDER, Operator
from audit.types import Event, Request

Ints = npt.NDArray[np.int64]


def edited(case: Case, edits: Sequence[Edit]) -> Case:
    """The same recommendation, with its request edited."""
    return replace(case, request=apply(edits, case.request))


def orders_of(n: int, count: int, rng: np.random.Generator) -> Ints:
    """Other orders of n items, shape (at most count, n): row r holds which item stands at each place.

    Rotations first, evenly spaced, so that every item stands early and late; where these are fewer than `count`, random
    orders that differ from them.
    """
    steps = sorted({round(i * n / (count + 1)) for i in range(1, count + 1)} - {0, n}) if n > count else range(1, n)
    seen = {tuple(range(n))}
    found: list[tuple[int, ...]] = []
    for step in steps:
        row = tuple((i - step) % n for i in range(n))
        seen.add(row)
        found.append(row)
    for _ in range(10 * count):
        if len(found) >= count:
            break
        row = tuple(int(i) for i in rng.permutation(n))
        if row not in seen:
            seen.add(row)
            found.append(row)
    return np.array(found, dtype=np.int64).reshape(len(found), n)


def reordered(case: Case, order: Sequence[int] | Ints) -> Case:
    """With the items that are weighed in another order."""
    older = range(case.first)
    return edited(case, [HistoryReorder((*older, *(case.first + int(i) for i in order)))])


def reworded(case: Case, wording: str) -> Case:
    """With the instruction in other words."""
    return edited(case, [TextEdit("instruction", 0, len(case.request.instruction), wording)])


def with_empty_place(case: Case, place: int) -> Case:
    """With one more entry among those that are weighed, at that place of theirs, that names no item."""
    history, at = case.request.user.history, case.first + place
    like = history[min(at, len(history) - 1)]
    one = edited(case, [HistoryInsert(at, Event(PLACEHOLDER, like.rating, like.time))])
    return one if case.items is None else replace(one, items=case.weighed + 1)


def doubled(case: Case, item: int, place: int) -> Case:
    """With the event of one place standing at another too, instead of what stood there; places of what is weighed."""
    return edited(case, [HistoryReplace(case.first + place, case.request.user.history[case.first + item])])


def of_another(case: Case, others: Sequence[Case]) -> Case | None:
    """The same request, asked about the item that another user was recommended: an unrelated title.

    None where every other user was recommended the same, or something that this request does not offer.
    """
    request: Request = case.request
    taken = {case.item.id, case.runner_up.id if case.runner_up else None} | {e.item.id for e in request.user.history}
    if request.task == "score":
        item = next((o.item for o in others if o.item.id not in taken), None)
        if item is None:
            return None
        return replace(case, item=item, request=replace(request, candidates=(item,)))
    # Whichever of the other candidates stands in the middle of those that were offered.
    offered = [c for c in request.candidates or () if c.id not in taken]
    item = offered[len(offered) // 2] if offered else next((o.item for o in others if o.item.id not in taken), None)
    return None if item is None else replace(case, item=item)


def steady_operator(operators: Sequence[Operator]) -> Operator:
    """The way of taking away that is the same wherever an item stands: a swap's other item hangs on the place."""
    return next((o for o in ("delete", "placeholder") if o in operators), "delete")
