"""Targets with a planted weakness, whose scores are seen, and what must hold for every search that inserts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from helpers import ODD_TITLES, Scripted, request

from audit.attack import Attempt, Goal, Objective, Search
from audit.edits import HistoryInsert, apply
from audit.target import Input, Insight
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, User

TRUTH = "i4"
"""The first candidate of `helpers.request`, and the true next item of these tests."""
READS = frozenset({Input.INSTRUCTION, Input.HISTORY})
WORDED = request(instruction="Please rank these films well for Anna")


def brittle(
    words: Mapping[str, float] | None = None, items: Mapping[str, float] | None = None, **info: Any
) -> Scripted:
    """A ranker that has the truth first, unless certain words stand in the instruction or items in the history."""
    words, items = words or {}, items or {}

    def answer(asked: Request) -> Answer:
        harm = sum(words.get(word, 0.0) for word in set(asked.instruction.split()))
        harm += sum(items.get(one, 0.0) for one in {event.item.id for event in asked.user.history})
        offered = asked.candidates or ()
        scores = [1.0 - harm if item.id == TRUTH else -float(n) for n, item in enumerate(offered)]
        order = sorted(range(len(offered)), key=lambda n: -scores[n])[: asked.k]
        return Answer(tuple(Ranked(offered[n].id, offered[n].title, scores[n]) for n in order))

    return Scripted(answer, **{"honours": READS, "reveals": frozenset({Insight.SCORES}), **info})


def attack(
    search: Search, target: Scripted, budget: int, seed: int = 0, asked: Request = WORDED, **objective: Any
) -> Attempt:
    """One attack on one user."""
    goal = Objective(Goal.DEGRADE, (frozenset({TRUTH}),), **objective)
    (attempt,) = search.run(target, [asked], goal, budget, np.random.default_rng(seed))
    return attempt


def drop(attempt: Attempt) -> float:
    """By how much the score of the truth fell."""
    scores = [{r.item_id: r.score for r in a.ranked}[TRUTH] for a in (attempt.before, attempt.after)]
    return float(scores[0] or 0) - float(scores[1] or 0)


def holds_the_budget(search: Search, budget: int) -> None:
    """Counted at the target: the answers before and after, and no more true queries than the budget."""
    target = brittle({"Garden": 1.0}, {"i33": 2.0})
    attempt = attack(search, target, budget)
    digests = {asked.digest for asked in target.asked[1:-1]}
    assert len(target.asked) - 2 == len(digests) == attempt.queries <= budget
    assert attempt.edits


def inserts_nothing_of_the_question(search: Search) -> None:
    """Neither the truth nor a candidate nor an item of the history, in anything that is asked."""
    target = brittle(items={"i10": 1.0})
    attempt = attack(search, target, 30)
    for asked in [*target.asked, apply(attempt.edits, WORDED)]:
        inserted = [e.item.id for e in asked.user.history if e not in WORDED.user.history]
        assert not {f"i{n}" for n in range(9)} & set(inserted)
        assert len(inserted) == len(set(inserted))
    assert all(not isinstance(e, HistoryInsert) or e.event.item.id not in {"i0", TRUTH} for e in attempt.edits)


def repeats_itself(search: Search) -> None:
    """The same seed gives the same attack, whoever else is attacked beside; another seed gives another."""
    one = attack(search, brittle({"Garden": 1.0}, {"i33": 2.0}), 30)
    assert attack(search, brittle({"Garden": 1.0}, {"i33": 2.0}), 30) == one
    goal = Objective(Goal.DEGRADE, (frozenset({TRUTH}),) * 3)
    asked = [WORDED, replace(WORDED, user=replace(WORDED.user, id="other")), request("third", history=1)]
    target = brittle({"Garden": 1.0}, {"i33": 2.0})
    beside = list(search.run(target, asked, goal, 30, np.random.default_rng(0)))
    assert beside[0] == one
    resumed = list(search.run(target, asked, goal, 30, np.random.default_rng(0), skip=2))
    assert resumed == beside[2:]
    assert len({str(attack(search, brittle({}, {}), 30, seed).edits) for seed in range(4)}) > 1


def survives_odd_questions(build: Any) -> None:
    """Odd titles, an empty history, an empty instruction, catalogues of one item or none."""
    for title in ODD_TITLES:
        item = Item("only", title)
        for catalog in (Catalog([item]), Catalog([]), Catalog([item, Item("new", title + "x")])):
            for asked in (
                Request(User("empty"), candidates=(item,)),
                Request(User("u", (Event(item),)), candidates=(item,), instruction=title),
                Request(User("n", note=title), candidates=(item,)),
            ):
                everything = brittle(honours=frozenset(Input))
                titles = brittle(honours=frozenset({Input.ITEM_TEXT, Input.HISTORY}))
                for target in (everything, titles):
                    goal = Objective(Goal.DEGRADE, (frozenset({"only"}),))
                    (attempt,) = build(catalog).run(target, [asked], goal, 9, np.random.default_rng(0))
                    assert len(target.asked) - 2 == attempt.queries <= 9
                    assert (apply(attempt.edits, asked).digest != asked.digest) == bool(attempt.edits)


def gains_nothing_where_nothing_is_read(search: Search) -> None:
    """A target that ignores its input: all losses are equal, and the answer stays."""
    attempt = attack(search, brittle(), 30)
    assert drop(attempt) == 0
    assert len({step.loss for step in attempt.trace}) == 1
