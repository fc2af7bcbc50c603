"""The stage on which promotions are judged: which items, which users, and what each is shown.

Users are split once: searches ask about the anchors, and what they come to is judged on the others, whom they never
met. Items are drawn by how often clean lists show them. One trial is one held-out user and one item: the item stands
among the candidates, at a random place that is the same in the clean, the attacked and the harmless request.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from audit.attack import Edits
from audit.attack.promotion import depth_of, order_of
from audit.edits import AddPassage, Edit, TextEdit, apply, read_text
from audit.errors import EditError
from audit.modules.base import Context
from audit.modules.robustness.cells import truth
from audit.target import Input, Recommender, Renders
from audit.types import Answer, Case, Item, Passage, Request

SHARE = 0.01
"""Share of the catalogue that is attacked, as in RecTextAttack (ACL 2024, arXiv 2402.14836)."""
ANCHORS = 0.4
"""Share of the users whom a search asks about, as there."""
LEAST = 4
SATURATED = 0.9
"""Clean exposure from which on there is nothing left to gain."""
_SOUNDED = 10
"""Anchors whose lists show how exposed an item is."""
_POOL = 3
"""Items sounded for each one attacked."""
_CANDIDATES = 20
"""Candidates shown where the cases have none: text of an item reaches a target only with the item."""
_SHELF = 10
_NEUTRAL = (
    "also listed in the usual format with the usual details on this page and general information for reference as "
    "given in the catalogue "
)
_LEAST_TEXT = 4


@dataclass(frozen=True)
class Trial:
    """One user and one item.

    Attributes:
        case: of the user.
        item: to be lifted.
        stratum: how exposed the item is in clean lists: `never` or `sometimes`.
        request: the clean request, the item in its place.
        relevant: items that the user did choose.
    """

    case: Case
    item: Item
    stratum: str
    request: Request
    relevant: frozenset[str]

    @property
    def depth(self) -> int:
        """Places that count as exposure."""
        return depth_of(self.request)

    @property
    def unlisted(self) -> int:
        """The rank given to an item that is not on the list: one below its end."""
        whole = self.request.task == "score" and self.request.candidates is not None
        return (len(self.request.candidates or ()) if whole else self.request.k) + 1

    def order(self, answer: Answer) -> tuple[str | None, ...]:
        """The list, best first; empty where there is none to read."""
        return order_of(answer, self.request.task) if answer.outcome == "ok" else ()

    def rank(self, answer: Answer) -> int:
        """The item's rank, from 1."""
        order = self.order(answer)
        return min(order.index(self.item.id) + 1, self.unlisted) if self.item.id in order else self.unlisted


@dataclass(frozen=True)
class Stage:
    """What all promotions of a run share.

    Attributes:
        context: what is audited.
        anchors: cases that a search may ask about.
        judged: cases on which the result is judged.
        items: to be lifted, with the stratum of each.
        saturated: items left out because clean lists show them almost always.
        shelf: items that clean lists show most often.
    """

    context: Context
    anchors: Sequence[Case]
    judged: Sequence[Case]
    items: Mapping[str, str] = field(default_factory=dict)
    saturated: int = 0
    shelf: Sequence[Item] = ()

    @cached_property
    def trials(self) -> list[Trial]:
        """Every judged user with every item; an item that the user knows or chose next is no trial."""
        return [
            trial
            for case in self.judged
            for item, stratum in self.items.items()
            if (trial := trial_of(self.context, case, self.context.dataset.catalog[item], stratum)) is not None
        ]

    def searched(self, item: Item, most: int) -> list[Request]:
        """Requests of up to `most` anchors with the item in its place."""
        trials = (trial_of(self.context, case, item, "") for case in self.anchors)
        return [trial.request for trial in trials if trial is not None][:most]


def set_stage(context: Context, *, items: int) -> Stage:
    """Split the users, sound the exposure of items among the anchors, and draw those to be attacked.

    Half of them are never exposed and half sometimes, as far as there are any of each.

    Args:
        context: what is audited.
        items: most items to attack.
    """
    anchors, judged = split(context)
    catalog = context.dataset.catalog.items_in_order
    wanted = min(items, max(LEAST, math.ceil(SHARE * len(catalog))), len(catalog))
    drawn = context.rng("promotion", "items").permutation(len(catalog))[: _POOL * wanted]
    pool = [catalog[int(i)] for i in drawn]
    sounded = [
        trial
        for item in pool
        for case in anchors[:_SOUNDED]
        if (trial := trial_of(context, case, item, "")) is not None
    ]
    answers = context.ask([trial.request for trial in sounded], label="Exposure of items")
    seen: dict[str, list[bool]] = {}
    shelf: Counter[str] = Counter()
    for trial, answer in zip(sounded, answers, strict=True):
        order = trial.order(answer)
        if order:
            seen.setdefault(trial.item.id, []).append(trial.rank(answer) <= trial.depth)
            shelf.update(name for name in order[: trial.depth] if name is not None)
    exposure = {item.id: float(np.mean(seen[item.id])) for item in pool if item.id in seen}
    never = [name for name, share in exposure.items() if share == 0]
    sometimes = [name for name, share in exposure.items() if 0 < share < SATURATED]
    half = max(wanted - len(sometimes), wanted // 2)
    chosen = {name: "never" for name in never[:half]}
    chosen |= {name: "sometimes" for name in sometimes[: wanted - len(chosen)]}
    known = context.dataset.catalog
    return Stage(
        context,
        anchors,
        judged,
        chosen,
        saturated=len(exposure) - len(never) - len(sometimes),
        shelf=[known[name] for name, _ in shelf.most_common(_SHELF) if name in known],
    )


def split(context: Context) -> tuple[list[Case], list[Case]]:
    """Anchors and judged cases; a user is on one side only."""
    users = list(dict.fromkeys(case.unit for case in context.cases))
    order = context.rng("promotion", "split").permutation(len(users))
    count = min(max(1, round(ANCHORS * len(users))), max(len(users) - 2, 0))
    chosen = {users[int(i)] for i in order[:count]}
    anchors = [case for case in context.cases if case.unit in chosen]
    return anchors, [case for case in context.cases if case.unit not in chosen]


def trial_of(context: Context, case: Case, item: Item, stratum: str) -> Trial | None:
    """A user and an item; None where the user knows the item, chose it next, or has no place for it.

    The item takes the place of a candidate that the user did not choose, and the candidates are shown in a random order
    of this trial's own. Where the case has no candidates and the target reads the text of items, some are drawn: the
    text of an item can only be read where the item is shown.
    """
    request = case.request
    relevant = truth(case.relevant, case.labels, request.candidates)
    if item.id in relevant or any(event.item.id == item.id for event in request.user.history):
        return None
    candidates = request.candidates
    if candidates is None and Input.ITEM_TEXT in context.info.honours:
        candidates = _drawn(context, case, relevant)
    if candidates is None:
        return Trial(case, item, stratum, request, relevant)
    rng = context.rng("promotion", "place", case.id, item.id)
    shown = list(candidates)
    if all(candidate.id != item.id for candidate in shown):
        free = [at for at, candidate in enumerate(shown) if candidate.id not in relevant]
        if not free:
            return None
        shown[free[int(rng.integers(len(free)))]] = item
    placed = tuple(shown[int(at)] for at in rng.permutation(len(shown)))
    return Trial(case, item, stratum, replace(request, candidates=placed), relevant)


def _drawn(context: Context, case: Case, relevant: frozenset[str]) -> tuple[Item, ...] | None:
    """Candidates for a case without: what the user chose, and items the user does not know."""
    catalog = context.dataset.catalog
    known = {event.item.id for event in case.request.user.history} | relevant
    unknown = [item for item in catalog.items_in_order if item.id not in known]
    chosen = [catalog[name] for name in sorted(relevant) if name in catalog]
    most = min(_CANDIDATES, context.info.max_candidates or _CANDIDATES)
    rng = context.rng("promotion", "candidates", case.id)
    order = rng.permutation(len(unknown))[: max(most - len(chosen), 0)]
    return (*chosen, *(unknown[int(i)] for i in order)) if len(order) else None


def arrives(target: Recommender, written: Iterable[tuple[Edits, Request]]) -> bool:
    """Whether any of these edits changes the prompt; a target that shows no prompt is believed what it declares."""
    if not isinstance(target, Renders):
        return True
    return any(target.render(apply(edits, r)).text != target.render(r).text for edits, r in written if edits)


def harmless(edits: Edits, request: Request) -> Edits:
    """The benign control of planted text: neutral words, as many characters as were added, in the same field and place.

    Args:
        edits: the attack's.
        request: the clean request.

    Returns:
        Edits of the same kind; none for edits that write nothing.
    """
    benign: list[Edit] = [
        AddPassage(edit.position, Passage(edit.passage.id, neutral(len(edit.passage.text))))
        for edit in edits
        if isinstance(edit, AddPassage)
    ]
    after = apply(edits, request)
    for name in dict.fromkeys(edit.field for edit in edits if isinstance(edit, TextEdit)):
        try:
            old, new = read_text(request, name), read_text(after, name)
        except EditError:
            continue  # a field that the attack itself added, such as its own passage
        if old == new:
            continue
        text = neutral(_added(old, new))
        if old and new.endswith(old):
            benign.append(TextEdit(name, 0, 0, f"{text} "))
        else:
            benign.append(TextEdit(name, len(old), len(old), f" {text}" if old else text))
    return tuple(benign)


def neutral(length: int) -> str:
    """So many characters of words that praise and ask for nothing, four at the least."""
    length = max(length, _LEAST_TEXT)
    text = (_NEUTRAL * (length // len(_NEUTRAL) + 1))[:length]
    return f"{text[:-1]}s" if text.endswith(" ") else text


def _added(old: str, new: str) -> int:
    """Characters that were written into a text."""
    if old in new:
        return len(new) - len(old)
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    return sum(m - k for how, _, _, k, m in matcher.get_opcodes() if how != "equal")
