"""Positioning: what the answer rests on comes first, within a third of the budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from helpers import Scripted, catalog, request

from attacks.places import Place
from attacks.positioning import check_kinds, important_places, places, random_places
from audit.attack import AttackInfo, Goal, Objective, Probe, Search, Steps, ThreatModel
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Input, Insight
from audit.types import Answer, Ranked, Request

WORDED = request(instruction="Please rank these films well", history=6)
READS = frozenset({Input.INSTRUCTION, Input.HISTORY})


def leaning(words: dict[str, float], events: dict[str, float]) -> Scripted:
    """A ranker whose first candidate is held up by some words and some events."""

    def answer(asked: Request) -> Answer:
        support = sum(weight for word, weight in words.items() if word in asked.instruction.split())
        support += sum(events.get(event.item.id, 0.0) for event in asked.user.history)
        items = asked.candidates or ()
        scores = [support if n == 0 else -float(n) for n in range(len(items))]
        order = sorted(range(len(items)), key=lambda n: -scores[n])[: asked.k]
        return Answer(tuple(Ranked(items[n].id, items[n].title, scores[n]) for n in order))

    return Scripted(answer, honours=READS, reveals=frozenset({Insight.SCORES}))


@dataclass(frozen=True)
class Finder(Search):
    options: Any = None
    limit: int = 3

    @property
    def info(self) -> AttackInfo:
        zones = ThreatModel(frozenset(Zone), max_edits=3, max_queries=None)
        return AttackInfo("finder", "Finder", "why", "ref", zones, READS)

    def search(self, probe: Probe) -> Steps:
        found = yield from important_places(probe, self.limit, **(self.options or {}))
        FOUND.append(found)
        return ()


FOUND: list[list[Place]] = []


@pytest.fixture(autouse=True)
def _emptied() -> Iterator[None]:
    FOUND.clear()
    yield
    FOUND.clear()


def find(target: Scripted, asked: Request = WORDED, budget: int = 60, seed: int = 0, **options: Any) -> list[Place]:
    limit = options.pop("limit", 3)
    objective = Objective(Goal.DEGRADE, (frozenset({"i6"}),))
    attack = Finder(catalog(), options=options, limit=limit)
    (attempt,) = attack.run(target, [asked], objective, budget, np.random.default_rng(seed))
    assert attempt.queries <= max(budget // 3, 0)
    return FOUND.pop()


def named(found: list[Place], asked: Request = WORDED) -> list[str]:
    return [
        asked.instruction[p.start : p.end] if p.kind == "word" else asked.user.history[p.start].item.id for p in found
    ]


@pytest.mark.parametrize("seed", range(3))
def test_what_the_answer_rests_on_comes_first_words_and_events_in_one_ranking(seed: int) -> None:
    target = leaning({"films": 2.0, "rank": 0.5}, {"i3": 3.0, "i1": 1.0})
    assert named(find(target, seed=seed, limit=4)) == ["i3", "films", "i1", "rank"]
    assert named(find(target, seed=seed, limit=2, edits="words")) == ["films", "rank"]
    assert named(find(target, seed=seed, limit=2, edits="items")) == ["i3", "i1"]


def test_pairs_of_neighbours_as_in_the_released_code() -> None:
    target = leaning({}, {"i3": 3.0, "i1": 1.0})
    found = find(target, edits="items", variant="released-code", limit=9)
    # i3 is in the pairs (2, 3) and (3, 4); what is inserted goes between the two, so the last event is no place.
    assert {p.start for p in found[:2]} == {2, 3}
    assert {p.start for p in found[2:4]} == {0, 1}
    assert [p.start for p in found[4:]] == [4]
    dropped = [len(WORDED.user.history) - len(r.user.history) for r in target.asked]
    assert set(dropped) == {0, 2}


@pytest.mark.parametrize("budget", [0, 1, 2, 3, 6, 20])
def test_a_small_budget_measures_a_random_third(budget: int) -> None:
    target = leaning({"films": 2.0}, {"i3": 3.0})
    found = find(target, budget=budget, limit=11)
    assert len(set(found)) == 11  # all places are still returned, those not measured behind
    assert len(target.asked) == 2 + min(budget // 3, 11)


def test_a_target_that_ignores_its_input_leaves_chance_to_decide() -> None:
    target = leaning({}, {})
    firsts = {named(find(target, seed=seed, limit=1))[0] for seed in range(40)}
    assert len(firsts) > 6


def test_an_unreadable_answer_is_no_importance() -> None:
    sound = leaning({"films": 2.0}, {"i3": 3.0})

    def answer(asked: Request) -> Answer:
        broken = len(asked.user.history) == 5 and all(e.item.id != "i0" for e in asked.user.history)
        return Answer(outcome="refused", detail="no") if broken else sound.answer(asked)

    target = Scripted(answer, honours=READS, reveals=frozenset({Insight.SCORES}))
    assert named(find(target, limit=11))[-1] == "i0"


def test_an_empty_history_and_an_empty_text() -> None:
    empty = request(history=0, instruction="")
    (place,) = find(leaning({}, {}), empty)
    assert (place.kind, place.start, place.end) == ("item", 0, 0)
    assert find(leaning({}, {}), empty, edits="words") == []
    alone = replace(WORDED, user=replace(WORDED.user, history=WORDED.user.history[:1]))
    assert [p.start for p in find(leaning({}, {}), alone, edits="items", variant="released-code")] == [0]


def test_random_places_cost_nothing_and_are_distinct() -> None:
    info = leaning({}, {}).info
    probe = Probe(
        (WORDED,), (), info, Objective(Goal.DEGRADE), frozenset(), frozenset(), 9, np.random.default_rng(0), None
    )  # type: ignore[arg-type]
    assert len(set(random_places(probe, 20))) == len(places(WORDED, info)) == 11
    assert probe.spent == 0
    assert {p.kind for p in random_places(probe, 20, "items")} == {"item"}


def test_options_that_do_not_exist_are_named() -> None:
    with pytest.raises(ConfigError, match="edits: 'all' must be one of both, words, items"):
        check_kinds("all", "paper")
    with pytest.raises(ConfigError, match="variant: 'x' must be one of paper, released-code"):
        check_kinds("both", "x")


def test_places_can_be_ranked_by_what_an_insertion_does() -> None:
    def answer(asked: Request) -> Answer:
        # Only what stands last counts, and it is missed by nobody.
        spoilt = asked.user.history[-1].item.id == "i30"
        items = asked.candidates or ()
        scores = [-9.0 if spoilt and n == 0 else -float(n) for n in range(len(items))]
        order = sorted(range(len(items)), key=lambda n: -scores[n])[: asked.k]
        return Answer(tuple(Ranked(items[n].id, items[n].title, scores[n]) for n in order))

    target = Scripted(answer, honours=READS, reveals=frozenset({Insight.SCORES}))
    for seed in range(4):
        (place,) = find(target, seed=seed, edits="items", limit=1, fill=lambda _: catalog()["i30"])
        assert place.start == 5
