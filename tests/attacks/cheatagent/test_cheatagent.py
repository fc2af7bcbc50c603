"""The attack as a whole: brittle units are found, budgets hold, nothing is claimed where there is nothing."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from helpers import ODD_TITLES, Scripted, catalog, request, requests

from attacks.cheatagent import Adaptive, CheatAgent, NoTuning
from attacks.cheatagent.agent import LMAgent
from attacks.cheatagent.similarity import similarity
from attacks.cheatagent.slot import labels
from audit.attack import Attempt, Goal, Objective
from audit.edits import HistoryInsert, TextEdit, apply
from audit.errors import ConfigError
from audit.target import Input, Insight
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, User

READS = frozenset({Input.INSTRUCTION, Input.HISTORY})
SCORES = frozenset({Insight.SCORES})
WORDED = "Please rank these films well"


def chance(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return zlib.crc32(text.encode()) % 1000 / 1000


def sensitive(reads: frozenset[Input] = READS, *, ignores: bool = False) -> Scripted:
    """A ranker whose first candidate falls by a different amount with every word and every item."""

    def answer(asked: Request) -> Answer:
        harm = 0.0
        if not ignores:
            harm += sum(chance(word) for word in asked.instruction.split())
            harm += sum(chance(event.item.id) for event in asked.user.history)
        items = asked.candidates or ()
        scores = [9.0 - harm if n == 0 else -float(n) for n in range(len(items))]
        order = sorted(range(len(items)), key=lambda n: -scores[n])[: asked.k]
        return Answer(tuple(Ranked(items[n].id, items[n].title, scores[n]) for n in order))

    return Scripted(answer, honours=reads, reveals=SCORES)


@pytest.fixture
def attack(llama):
    films = catalog()
    agent = LMAgent(llama, films)
    return lambda kind=CheatAgent, **options: kind(films, agent=options.pop("agent", agent), **options)


def run(
    attack: CheatAgent, target: Scripted, budget: int, users: int = 2, seed: int = 0, *, label_free: bool = False
) -> list[Attempt]:
    asked = requests(users, instruction=WORDED)
    objective = Objective(Goal.DEGRADE, (frozenset({"i4"}),) * users, label_free=label_free)
    return list(attack.run(target, asked, objective, budget, np.random.default_rng(seed)))


@pytest.mark.parametrize("kind", [CheatAgent, NoTuning, Adaptive])
@pytest.mark.parametrize("variant", ["paper", "released-code"])
@pytest.mark.parametrize("budget", [1, 7, 50, 500])
def test_the_budget_holds_and_nothing_forbidden_is_inserted(attack, kind, variant, budget) -> None:
    target = sensitive()
    for attempt in run(attack(kind, variant=variant), target, budget, users=1):
        assert 1 <= attempt.queries <= budget
        assert 1 <= len(attempt.edits) <= 3
        for edit in attempt.edits:
            if isinstance(edit, HistoryInsert):
                assert int(edit.event.item.id[1:]) >= 9  # i0 to i3 are the history, i4 to i8 the candidates
            else:
                assert isinstance(edit, TextEdit)
                assert edit.start == edit.end  # an insertion
        if variant == "paper" or kind is Adaptive:
            inserted = [e.event.item.id for e in attempt.edits if isinstance(e, HistoryInsert)]
            assert len(inserted) == len(set(inserted))
    forbidden = {f"i{n}" for n in range(4, 9)}
    assert not any(event.item.id in forbidden for asked in target.asked for event in asked.user.history)


def test_an_encoder_decoder_agent(t5) -> None:
    films = catalog()
    (attempt,) = run(CheatAgent(films, agent=LMAgent(t5, films)), sensitive(), 60, users=1)
    assert attempt.edits
    assert attempt.trace[-1].loss > attempt.trace[0].loss


@pytest.mark.parametrize("label_free", [False, True])
def test_it_does_harm_and_more_with_more_queries(attack, label_free) -> None:
    def harm(budget: int) -> float:
        found = run(attack(edits="items"), sensitive(), budget, users=2, label_free=label_free)
        return float(np.mean([sum(chance(e.event.item.id) for e in a.edits) for a in found]))

    # The best that three items can do, and what three random ones do on average.
    values = sorted((chance(f"i{n}") for n in range(9, 40)), reverse=True)
    assert harm(500) > harm(12)
    assert harm(500) > 0.6 * sum(values[:3]) > 3 * float(np.mean(values))


def test_a_target_that_ignores_its_input_loses_nothing(attack) -> None:
    for attempt in run(attack(), sensitive(ignores=True), 60):
        assert attempt.before.ids == attempt.after.ids
        assert len(attempt.trace) == 1  # the first try is the best, and no later one is better


def test_words_alone_and_items_alone(attack) -> None:
    for attempt in run(attack(edits="words"), sensitive(), 40):
        assert {type(e) for e in attempt.edits} == {TextEdit}
    for attempt in run(attack(edits="items"), sensitive(), 40):
        assert {type(e) for e in attempt.edits} == {HistoryInsert}
    assert attack(edits="items").info.needs == {Input.HISTORY}


def test_the_insertions_stand_next_to_what_the_answer_rests_on(attack) -> None:
    def answer(asked: Request) -> Answer:
        leans = "films" in asked.instruction.split()
        items = asked.candidates or ()
        order = items if leans else items[::-1]
        return Answer(tuple(Ranked(i.id, i.title, -float(n)) for n, i in enumerate(order))[: asked.k])

    target = Scripted(answer, honours=READS, reveals=SCORES)
    for attempt in run(attack(delta=1), target, 60):
        (edit,) = attempt.edits
        assert isinstance(edit, TextEdit)
        assert edit.start == WORDED.index("films")


def test_the_same_seed_finds_the_same_and_the_group_does_not_matter(attack) -> None:
    whole = run(attack(), sensitive(), 60, users=5)
    assert [a.found for a in run(attack(group=2), sensitive(), 60, users=5)] == [a.found for a in whole]
    other = run(attack(), sensitive(), 60, users=5, seed=1)
    assert [a.found for a in other] != [a.found for a in whole]


def test_tuning_changes_what_is_proposed(attack) -> None:
    def proposed(rate: float) -> set[str]:
        target = sensitive()
        run(attack(edits="words", rate=rate, positioning=False, candidates=3, prefixes=1, delta=1), target, 40, users=1)
        return {asked.instruction for asked in target.asked}

    assert proposed(0.0) < proposed(1.0)  # without steps every round says the same


def test_an_unreadable_target_gets_no_insertion(attack) -> None:
    clean = sensitive()

    def answer(asked: Request) -> Answer:
        whole = len(asked.user.history) == 4 and asked.instruction == WORDED
        return clean.answer(asked) if whole else Answer(outcome="refused", detail="no")

    for attempt in run(attack(), Scripted(answer, honours=READS, reveals=SCORES), 40):
        assert attempt.edits == ()


@pytest.mark.parametrize("history", [0, 1])
def test_short_histories(attack, history) -> None:
    asked = request(history=history, instruction=WORDED)
    objective = Objective(Goal.DEGRADE, (frozenset({f"i{history}"}),))
    for edits in ("both", "items"):
        for variant in ("paper", "released-code"):
            one = attack(edits=edits, variant=variant)
            (attempt,) = one.run(sensitive(), [asked], objective, 60, np.random.default_rng(0))
            assert attempt.edits


def test_odd_titles_and_odd_text(llama) -> None:
    odd = Catalog([Item(f"o{n}", title) for n, title in enumerate([*ODD_TITLES, "Plain"])])
    events = tuple(Event(item) for item in odd.items_in_order[:4])
    asked = Request(User("u", events), instruction=ODD_TITLES[0] + " \u202e$name", candidates=odd.items_in_order[4:6])
    one = CheatAgent(odd, agent=LMAgent(llama, odd))
    objective = Objective(Goal.DEGRADE, (frozenset({"o4"}),))
    (attempt,) = one.run(sensitive(), [asked], objective, 80, np.random.default_rng(0))
    assert attempt.edits
    assert apply((), asked) == asked


def test_a_catalogue_without_free_items_leaves_words(attack) -> None:
    small = catalog(9)
    one = replace(attack(), catalog=small)
    for attempt in run(one, sensitive(), 40):
        assert {type(e) for e in attempt.edits} == {TextEdit}
    for attempt in run(replace(attack(edits="items"), catalog=small), sensitive(), 40):
        assert (attempt.edits, attempt.queries) == ((), 0)


def test_labels_of_the_paper_and_of_the_released_code() -> None:
    assert labels([1.0, 2.0, 3.0, -np.inf], 2.0, "paper") == (-1.0, 1.0, 1.0, -1.0)
    # Sheet, 1.5: w = L − L_max; clamp(e^w, 0, 2) from 0 on, clamp(−e^−w, −2, 0) below.
    expected = [-np.exp(0.5), 1.0, np.exp(0.5), 2.0, -2.0, -2.0]
    found = labels([1.5, 2.0, 2.5, 9.0, -5.0, -np.inf], 2.0, "released-code")
    assert found == pytest.approx(expected)


def test_similarity_is_one_for_the_same_and_falls_with_what_is_inserted() -> None:
    asked = request(instruction=WORDED)
    short, long = (replace(asked, instruction=f"{WORDED} {w}") for w in ("now", "supercalifragilistic"))
    assert similarity(asked, asked) == pytest.approx(1.0)
    assert 1 > similarity(asked, short) > similarity(asked, long) > 0
    empty = Request(User("u"))
    assert similarity(empty, empty) == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta": 0}, "delta: 0 must be at least 1"),
        ({"candidates": 0}, "candidates: 0 must be at least 1"),
        ({"rounds": -1}, "rounds: -1 must be 0 or more"),
        ({"rate": float("nan")}, "rate: nan must be 0 or more"),
        ({"edits": "all"}, "edits: 'all' must be one of"),
        ({"variant": "other"}, "variant: 'other' must be one of"),
    ],
)
def test_options_that_cannot_be_used_are_named(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        CheatAgent(catalog(), **options)


def test_it_declares_what_it_does() -> None:
    info = CheatAgent(catalog()).info
    assert info.id == "cheatagent"
    assert info.queries_per_request == 35 + 481
    assert NoTuning(catalog()).info.id == "cheatagent-no-tuning"
    assert Adaptive(catalog()).info.id == "cheatagent-adaptive"


def test_an_adaptive_search_says_nothing_twice_and_keeps_the_best(attack) -> None:
    plain = run(attack(edits="items"), sensitive(), 500, users=2)
    target = sensitive()
    kept = run(attack(edits="items", adaptive=True), target, 500, users=2)
    for without, attempt in zip(plain, kept, strict=True):
        assert attempt.queries > without.queries  # new candidates cost queries, repeated ones do not
        best = max(chance(f"i{n}") for n in range(9, 40))
        assert any(chance(e.event.item.id) == best for e in attempt.edits)


@pytest.mark.llm
def test_smollm2_attacks_two_users_of_movielens(ml100k) -> None:
    def answer(asked: Request) -> Answer:
        harm = sum(chance(event.item.id) for event in asked.user.history)
        items = asked.candidates or ()
        return Answer(
            tuple(Ranked(i.id, i.title, 9.0 - harm if n == 0 else -n) for n, i in enumerate(items))[: asked.k]
        )

    target = Scripted(answer, honours=READS, reveals=SCORES)
    asked, truths = [], []
    for user in ml100k.user_ids[:2]:
        events = ml100k.events(user)[:10]
        seen = {event.item.id for event in events}
        unseen = [item for item in ml100k.catalog.items_in_order if item.id not in seen][:5]
        asked.append(Request(User(user, events), instruction=WORDED, candidates=tuple(unseen)))
        truths.append(frozenset({unseen[0].id}))
    attack = CheatAgent(ml100k.catalog, prefixes=2, candidates=4, rounds=1, edits="items")
    objective = Objective(Goal.DEGRADE, tuple(truths))
    for attempt in attack.run(target, asked, objective, 60, np.random.default_rng(0)):
        assert len(attempt.edits) == 3
        assert attempt.trace[-1].loss > attempt.trace[0].loss
