"""What holds for every registered attack with a search, whoever wrote it: the registry is enumerated.

Attacks that think with a language model of their own are held to the same in their own tests, with a tiny model.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pytest
from helpers import ODD_TITLES, Scripted, catalog, request, requests

from audit import registry
from audit.attack import Attempt, Goal, Objective, Perturbation, Search
from audit.edits import HistoryInsert, HistoryReplace, apply, from_dict, to_dict
from audit.target import Input, Insight
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, User

LANGUAGE_MODELS = {"agent", "masked_lm"}
"""Parameters of attacks that bring a model."""


def _own_kind(name: str) -> bool:
    factory = registry.load("attacks", name, where="test")
    return (
        isinstance(factory, type)
        and issubclass(factory, Search)
        and not issubclass(factory, Perturbation)
        and not LANGUAGE_MODELS & set(signature(factory).parameters)
    )


def build(name: str, items: Catalog) -> Search:
    attack: Search = registry.load("attacks", name, where="test")(items)
    return attack


NAMES = [
    name
    for name in sorted(registry.available("attacks"))
    if _own_kind(name)
    and build(name, catalog()).info.threat_model.goal in {Goal.DEGRADE, Goal.FLIP}
    and Insight.GRADIENTS not in build(name, catalog()).info.sees
    and not build(name, catalog()).info.missing
]

READS = {"honours": frozenset({Input.INSTRUCTION, Input.HISTORY, Input.NOTE}), "reveals": frozenset({Insight.SCORES})}
INSTRUCTION = "Please rank these winter films for Anna."


def sensitive(asked: Request) -> Answer:
    """Scores that every part of the request moves a little, and that are always the same for the same request."""
    weight = int(asked.digest[:6], 16) / 16**6
    items = asked.candidates or ()
    scores = {item.id: weight if n == 0 else 1 - n / 10 for n, item in enumerate(items)}
    ranked = sorted(items, key=lambda item: -scores[item.id])[: asked.k]
    return Answer(tuple(Ranked(i.id, i.title, scores[i.id]) for i in ranked))


def deaf(asked: Request) -> Answer:
    items = (asked.candidates or ())[: asked.k]
    return Answer(tuple(Ranked(item.id, item.title, 1.0 - n / 10) for n, item in enumerate(items)))


def run(
    name: str,
    asked: list[Request],
    *,
    items: Catalog | None = None,
    budget: int = 20,
    answer: Any = sensitive,
    seed: int = 0,
) -> tuple[list[Attempt], Scripted]:
    target = Scripted(answer, **READS)
    truth = tuple(frozenset({(r.candidates or (Item("i4", ""),))[0].id}) for r in asked)
    objective = Objective(Goal.DEGRADE, truth)
    attack = build(name, items or catalog())
    return list(attack.run(target, asked, objective, budget, np.random.default_rng(seed))), target


WORDED = requests(3, instruction=INSTRUCTION)


def test_there_are_searches_to_check() -> None:
    assert {"rpgp", "genetic", "rl-ppo", "profile-searched"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", [1, 7, 40])
def test_the_budget_is_held_at_the_target_itself(name: str, budget: int) -> None:
    attempts, target = run(name, WORDED, budget=budget)
    assert len(attempts) == len(WORDED)
    for attempt in attempts:
        asked = {r.digest for r in target.asked if r.user.id == attempt.request.user.id}
        assert attempt.queries <= budget
        # Before and after are not the search's.
        assert len(asked) <= budget + 2
        build(name, catalog()).info.threat_model.check(attempt.edits)
        assert tuple(from_dict(to_dict(e)) for e in attempt.edits) == attempt.edits


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_finds_the_same(name: str) -> None:
    assert [a.found for a in run(name, WORDED)[0]] == [a.found for a in run(name, WORDED)[0]]


@pytest.mark.parametrize("name", NAMES)
def test_the_question_itself_is_never_inserted(name: str) -> None:
    small = catalog(12)
    attempts, target = run(name, requests(6, instruction=INSTRUCTION), items=small, budget=30)
    for asked in target.asked:
        clean = {f"i{n}" for n in range(4)}
        foreign = [e.item.id for e in asked.user.history if e.item.id not in clean]
        assert set(foreign) <= {"i9", "i10", "i11"}
    for attempt in attempts:
        inserted = {e.event.item.id for e in attempt.edits if isinstance(e, HistoryInsert | HistoryReplace)}
        assert inserted <= {"i9", "i10", "i11"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_won_from_a_target_that_ignores_its_input(name: str) -> None:
    for attempt in run(name, WORDED, answer=deaf)[0]:
        assert attempt.before.ids == attempt.after.ids
        assert len({step.loss for step in attempt.trace}) <= 1


# Input reduction keeps the answer while words go: what it shows is how little is left, not a loss.
@pytest.mark.parametrize("name", [n for n in NAMES if n != "input-reduction"])
def test_a_sensitive_target_loses(name: str) -> None:
    attempts, _ = run(name, requests(8, instruction=INSTRUCTION), budget=40)
    edited = [a for a in attempts if a.edits]
    assert edited
    lost = [a.trace[-1].loss for a in edited if a.trace]
    assert lost
    assert all(a.loss < b.loss for attempt in edited for a, b in zip(attempt.trace, attempt.trace[1:], strict=False))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("title", ODD_TITLES)
def test_odd_titles_empty_histories_and_one_item_catalogues_do_no_harm(name: str, title: str) -> None:
    item = Item("only", title)
    asked = [
        Request(User("empty"), instruction=title, candidates=(item,)),
        Request(User("u", (Event(item),)), candidates=(item,), instruction=title),
        Request(User("n", note=title), candidates=(item,)),
        request("w", instruction=title),
    ]
    attempts, _ = run(name, asked, items=Catalog([item]), budget=9)
    for attempt in attempts:
        assert apply(attempt.edits, attempt.request).candidates == attempt.request.candidates
        assert bool(attempt.edits) == (apply(attempt.edits, attempt.request).digest != attempt.request.digest)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_that_refuses_half_way_is_no_success(name: str) -> None:
    count = 0

    def tired(asked: Request) -> Answer:
        nonlocal count
        count += 1
        return sensitive(asked) if count <= 12 else Answer(outcome="error", detail="timed out")

    for attempt in run(name, WORDED, answer=tired)[0]:
        assert all(np.isfinite(step.loss) for step in attempt.trace)
