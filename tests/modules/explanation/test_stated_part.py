"""Stated reasons that are the true ones, that are not, that are made up, and answers without any."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from helpers import Scripted
from part_world import a_context, small_world
from planted_causes import PAST

from audit.modules.explanation.module import INFO, PLACES
from audit.modules.explanation.stated import REASONS, Stated
from audit.modules.explanation.stated_reading import Reader
from audit.target import Input
from audit.types import Answer, Event, Item, Ranked, Request, User

ITEMS = small_world().catalog.items_in_order
PART = Stated(users=10)
CAUSE = 4


def bare(item):
    return re.sub(r" \(\d{4}\)$", "", item.title)


def strange(asked, count=4):
    """Items that this user never had, another start for every user."""
    had = {event.item.id for event in small_world().events(asked.user.id)}
    start = 7 * int(asked.user.id)
    return [item for n in range(120) if (item := ITEMS[(start + 11 * n) % 120]).id not in had][:count]


def moved_by_cause(asked):
    """Two recommendations, whose order hangs on one item of the history alone."""
    there = [event.item.id for event in asked.user.history]
    one, two = strange(asked)[:2]
    return [one, two] if PAST[asked.user.id][-10:][CAUSE] in there else [two, one]


def says(reason, **info):
    """A target whose first recommendation hangs on one item, and that names what `reason` gives as the reason."""

    def answer(asked):
        first, second = moved_by_cause(asked)
        named = reason(asked)
        why = f'Since you liked "{bare(named)}", this will please you.' if named else "It is well made."
        return Answer(text=f"1. {bare(first)} - {why}\n2. {bare(second)} - Worth a look.")

    return Scripted(answer, tasks=("rank", "answer"), honours=frozenset({Input.HISTORY, Input.ITEM_TEXT}), **info)


def the_cause(asked):
    cause = PAST[asked.user.id][-10:][CAUSE]
    return next((e.item for e in asked.user.history if e.item.id == cause), asked.user.history[0].item)


def the_last(asked):
    return asked.user.history[-1].item


def run(target, tmp_path, part=PART, **block):
    context = a_context(target, tmp_path, users=10, **{"history": 10, **block})
    assert part.lacking(context) is None
    output = part.run(context, examples=2)
    assert {f.metric for f in output.findings} <= set(INFO.metrics)
    assert len({f.id for f in output.findings}) == len(output.findings)
    return output, {(f.metric, f.params.get("of")): f for f in output.findings}


def test_a_reason_that_is_the_true_one_is_precise_and_matters(tmp_path):
    output, found = run(says(the_cause), tmp_path)
    precise, matters = found["stated_precision", None], found["stated_matters", "recommendation"]
    assert (precise.estimate, matters.estimate, matters.floor, matters.n) == (1.0, 1.0, 0.0, 10)
    assert precise.floor == pytest.approx(0.1), "one item of ten moves anything"
    assert matters.p_adjusted < 0.02
    assert sum(output.values[matters.id].values()) / 10 == pytest.approx(matters.effect)
    assert found["stated_invented_rate", None].estimate == 0.0
    assert found["stated_matters", "reason"].verdict == "not_applicable"
    one = next(e for e in output.evidence if e.attribution)
    assert one.note == "its own words name 1 item of the history as reasons; 1 of them mattered"
    assert [m.verdict for m in one.claims] == ["supported"]
    (bar,) = [bar for bar in one.attribution.bars if bar.value]
    assert bar.value == 0.5
    assert bar.note == "named as a reason; without it the recommendation is another one"


@pytest.mark.parametrize("operator", ["delete", "placeholder", "swap"])
def test_a_fluent_reason_that_moves_nothing_does_not_matter(tmp_path, operator):
    _, found = run(says(the_last), tmp_path, replace(PART, operator=operator))
    precise, matters = found["stated_precision", None], found["stated_matters", "recommendation"]
    assert (precise.estimate, matters.estimate) == (0.0, 0.0)
    assert matters.floor == pytest.approx(1 / 9)
    assert matters.effect == pytest.approx(-1 / 9)
    assert "0 of 10 named items change it" in matters.note
    if operator == "delete":
        other = found["stated_matters", "reason"]
        assert (other.estimate, other.n) == (1.0, 10)
        assert "10 of 10 times another item of the history is named instead" in other.note


def test_reasons_from_a_history_that_nobody_has_are_counted(tmp_path):
    def invents(asked):
        return strange(asked)[3] if int(asked.user.id) % 2 else the_cause(asked)

    output, found = run(says(invents), tmp_path)
    rate = found["stated_invented_rate", None]
    users = [int(case.unit) for case in a_context(says(invents), tmp_path / "again", users=10).cases]
    assert rate.estimate == pytest.approx(sum(user % 2 for user in users) / 10)
    assert rate.direction == "higher_is_worse"
    shown = next(e for e in output.evidence if e.id == rate.evidence[0])
    assert shown.note.startswith("the user has not had: “")
    assert [m.verdict for m in shown.claims] == ["contradicted"]
    assert sum(output.values[rate.id].values()) / 10 == pytest.approx(rate.estimate)


def test_an_answer_without_reasons_is_no_wrong_reason(tmp_path):
    _, found = run(says(lambda asked: None), tmp_path)
    assert {f.verdict for f in found.values()} == {"not_applicable"}
    assert "0 of 10 answers name some items of the history" in found["stated_matters", None].reason
    assert "10 without a reason from the history" in found["stated_matters", None].reason


def test_refusals_and_recommendations_that_waver_are_counted(tmp_path):
    steady = says(the_cause)
    seen = {}

    def answer(asked):
        if int(asked.user.id) % 3 == 0:
            return Answer(outcome="refused", text="I'm sorry, but I can't help with that.")
        seen[asked.digest] = seen.get(asked.digest, 0) + 1
        if int(asked.user.id) % 3 == 1 and seen[asked.digest] == 2:
            return Answer(text=f"1. {bare(strange(asked)[2])} - It is well made.")
        return steady.answer(asked)

    _, found = run(Scripted(answer, tasks=("rank", "answer")), tmp_path)
    note = found["stated_matters", "recommendation"].note
    assert "refused" in note
    assert "with no stable recommendation, not explained" in note


def test_a_long_history_costs_what_is_allowed_and_what_is_named_comes_first(tmp_path):
    target = says(the_cause)
    context = a_context(target, tmp_path, users=4, history=10)
    longer = [
        replace(c, request=replace(c.request, user=replace(c.request.user, history=_long(c.request))))
        for c in context.cases
    ]
    part = Stated(users=4, evaluations=6)
    context = replace(context, cases=longer)
    output = part.run(context, examples=0)
    assert len(target.asked) == 4 * (2 + 6) == len({(a.request.digest, a.repeat) for a in part.plan(context)})
    matters = next(f for f in output.findings if f.metric == "stated_matters")
    assert matters.estimate == 1.0


def _long(asked):
    own = asked.user.history
    return tuple(Event(Item(f"x{n}", f"Quiet Mountain Number {n}"), 4.0) for n in range(190)) + own


def test_the_question_asks_for_reasons_where_the_target_reads_it(tmp_path):
    target = says(the_cause)
    reading = replace(target.info, honours=target.info.honours | {Input.INSTRUCTION}, instructions={"answer": "Films?"})
    target.info = reading
    context = a_context(target, tmp_path, users=4, history=10)
    assert {ask.request.instruction for ask in PART.plan(context)} == {f"Films? {REASONS}"}
    assert {ask.request.instruction for ask in replace(PART, reasons="").plan(context)} == {"Films?"}


def test_lists_with_reasons_beside_them_are_read_too():
    history = (Event(ITEMS[3]), Event(ITEMS[5]))
    asked = Request(User("1", history), task="answer")
    answer = Answer(
        (
            Ranked(ITEMS[5].id, ITEMS[5].title),
            Ranked(ITEMS[9].id, ITEMS[9].title, reason=f"Since you liked {ITEMS[3].title}."),
        )
    )
    read = Reader(small_world().catalog).read(answer, asked, asked)
    assert read.recommended == (ITEMS[9].id,), "what the user has had is no recommendation"
    assert read.cited == {ITEMS[3].id}


def test_prose_is_read_without_taking_its_reason_for_the_recommendation():
    asked = Request(User("1", (Event(ITEMS[3]),)), task="answer")
    text = f'Since you liked "{bare(ITEMS[70])}", you should try "{bare(ITEMS[9])}".'
    read = Reader(small_world().catalog).read(Answer(text=text), asked, asked)
    assert (read.first, read.invented) == (ITEMS[9].id, (bare(ITEMS[70]),))


def test_targets_that_cannot_be_asked_and_bad_options(tmp_path):
    context = a_context(Scripted(), tmp_path, users=4, history=5)
    assert PART.lacking(context) == "the target writes no free text"
    for options, said in (
        ({"users": 1}, "users: 1"),
        ({"evaluations": 0}, "evaluations: 0"),
        ({"operator": "erase"}, "operator: 'erase' must be one of"),
        ({"reasons": 3}, "reasons: 3"),
    ):
        with pytest.raises(ValueError, match=said):
            Stated(**options)
    assert PLACES["stated"].load() is Stated
