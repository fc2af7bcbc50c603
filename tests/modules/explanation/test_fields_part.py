"""Influence of fields on targets that read exactly what is known, and against what is said to be disclosed."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from helpers import Scripted
from part_world import a_context

from audit.gateway import Ask
from audit.modules.explanation.fields import Fields
from audit.modules.explanation.module import PLACES
from audit.target import Input
from audit.types import Answer, Passage, Ranked


def reads(*fields):
    """A target whose order of the candidates hangs on these fields and on nothing else."""

    def answer(asked):
        known = {
            "history": [e.item.id for e in asked.user.history],
            "age": asked.user.attributes.get("age"),
            "gender": asked.user.attributes.get("gender"),
            "note": asked.user.note,
            "passages": [p.text for p in asked.passages],
            "instruction": asked.instruction,
            "candidate_order": [c.id for c in asked.candidates or ()],
        }
        key = repr([known[field] for field in fields])
        order = sorted(asked.candidates, key=lambda c: hashlib.sha256((key + c.id).encode()).hexdigest())
        return Answer(tuple(Ranked(c.id, c.title) for c in order[: asked.k]))

    return Scripted(answer, paraphrases={"rank": ("Choose films.", "Pick films.")})


def run(tmp_path, target, part, **change):
    context = a_context(target, tmp_path, users=20, candidates=8)
    if change:
        cases = [
            replace(case, request=replace(case.request, **{k: v(n) for k, v in change.items()}))
            for n, case in enumerate(context.cases)
        ]
        context = replace(context, cases=cases)
    assert part.lacking(context) is None
    output = part.run(context, examples=2)
    return output, {(f.metric, f.params.get("field"), f.params.get("operator")): f for f in output.findings}


def everything(n):
    return (Passage("p", f"On films number {n}."),)


def test_only_the_fields_that_are_read_have_influence(tmp_path):
    output, found = run(
        tmp_path, reads("history", "age"), Fields(), passages=everything, instruction=lambda _: "Rank films."
    )
    influence = {key[1:]: f for key, f in found.items() if key[0] == "field_influence"}
    moving = {key for key, f in influence.items() if f.p_adjusted < 0.05}
    assert moving == {(f, o) for f in ("history", "attributes.age") for o in ("delete", "swap")}
    still = {key: f.estimate for key, f in influence.items() if key not in moving}
    assert set(still) == {
        ("attributes.gender", "delete"),
        ("attributes.gender", "swap"),
        ("passages", "delete"),
        ("passages", "swap"),
        ("candidate_order", "shuffle"),
        ("instruction", "paraphrase"),
    }
    assert set(still.values()) == {0.0}
    one = influence["history", "delete"]
    assert one.floor == 0.0
    assert one.n == 20
    assert one.evidence
    assert sum(output.values[one.id].values()) / one.n == pytest.approx(one.effect)
    assert {e.id for e in output.evidence} >= set(one.evidence)


def test_what_is_not_disclosed_but_moves_answers_is_found_and_the_reverse_is_said(tmp_path):
    part = Fields(disclosed=["history", "attributes.gender", "turns"])
    _, found = run(tmp_path, reads("history", "age"), part)
    hidden = {key[1]: f for key, f in found.items() if key[0] == "undisclosed_influence"}
    assert set(hidden) == {"attributes.age", "candidate_order"}
    assert hidden["attributes.age"].estimate > 0.1
    assert hidden["attributes.age"].p_adjusted < 0.05
    assert hidden["attributes.age"].direction == "higher_is_worse"
    assert hidden["candidate_order"].estimate == 0.0
    for finding in hidden.values():
        assert "disclosed, but without influence found: attributes.gender" in finding.note
        assert "disclosed, but in no request, so not measured: turns" in finding.note


def test_nothing_undisclosed_is_claimed_of_a_target_that_keeps_its_word(tmp_path):
    part = Fields(disclosed=["history", "attributes", "candidate_order"])
    _, found = run(tmp_path, reads("history"), part)
    [finding] = [f for key, f in found.items() if key[0] == "undisclosed_influence"]
    assert finding.verdict == "not_applicable"
    assert "every field that the requests hold is disclosed" in finding.reason
    assert "without influence found: attributes.age, attributes.gender, candidate_order" in finding.reason


def test_protected_attributes_are_measured_and_fairness_is_pointed_to(tmp_path):
    _, found = run(tmp_path, reads("gender"), Fields())
    sensitive = {key[1:]: f for key, f in found.items() if key[0] == "protected_influence"}
    assert sensitive["attributes.gender", "swap"].p_adjusted < 0.05
    assert sensitive["attributes.age", "swap"].estimate == 0.0
    assert "fairness" in sensitive["attributes.gender", "swap"].note
    assert "declares that it does not read it" in sensitive["attributes.gender", "swap"].note


def test_a_target_that_draws_at_random_has_no_influence_beyond_its_floor(tmp_path):
    turn = iter(range(10**6))

    def answer(asked):
        start = hashlib.sha256(str(next(turn)).encode()).digest()[0] % len(asked.candidates)
        order = asked.candidates[start:] + asked.candidates[:start]
        return Answer(tuple(Ranked(c.id, c.title) for c in order[: asked.k]))

    _, found = run(tmp_path, Scripted(answer), Fields(disclosed=[]))
    assert found["field_influence", "history", "delete"].floor > 0.1
    assert all(f.p_adjusted > 0.05 for f in found.values() if f.p_adjusted is not None)


def test_scores_are_compared_by_their_difference_and_lost_answers_count(tmp_path):
    def answer(asked):
        if not asked.user.history:
            return Answer(outcome="unparsable")
        female = asked.user.attributes.get("gender") == "F"
        return Answer(tuple(Ranked(c.id, score=0.6 if female else 0.4) for c in asked.candidates))

    target = Scripted(answer, tasks=("score",), honours=frozenset({Input.HISTORY, Input.ATTRIBUTES}))
    context = a_context(target, tmp_path, users=16, task="score")
    found = {
        (f.metric, f.params.get("field"), f.params.get("operator")): f
        for f in Fields().run(context, examples=1).findings
    }
    swapped = found["protected_influence", "attributes.gender", "swap"]
    assert swapped.estimate == pytest.approx(0.2)
    n = swapped.n
    assert f"the decision changes for {n} of {n} users" in swapped.note
    emptied = found["field_influence", "history", "delete"]
    assert emptied.estimate == 1.0
    assert f"{emptied.n} changed requests were not answered, which counts as 1" in emptied.note


def test_the_plan_is_all_that_is_asked(tmp_path):
    target = reads("history")
    context = a_context(target, tmp_path, users=6, candidates=8)
    part = Fields(users=4)
    planned = {context.gateway.key(ask) for ask in part.plan(context)}
    part.run(context, examples=1)
    assert {context.gateway.key(Ask(asked)) for asked in target.asked} <= planned
    assert len(target.asked) <= len(planned)
    assert len({asked.user.id for asked in target.asked}) == 4


def test_free_text_and_a_target_that_never_answers_are_said(tmp_path):
    silent = Scripted(lambda _: Answer(outcome="refused"))
    context = a_context(silent, tmp_path, users=6, candidates=8)
    assert "free text" in Fields().lacking(replace(context, task="answer"))
    [finding] = Fields().run(context, examples=1).findings
    assert "0 of 6 clean questions were answered" in finding.reason


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"users": 1}, "users: 1 must be"),
        ({"operators": ["erase"]}, "operators: 'erase' must be one of"),
        ({"operators": []}, "operators: at least one"),
        ({"disclosed": ["age"]}, "disclosed: 'age' must be one of"),
        ({"disclosed": "history"}, "disclosed: 'history' must be a list"),
        ({"least": 1.0}, "least: 1.0 must be"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, says):
    with pytest.raises(ValueError, match=says):
        Fields(**options)


def test_it_stands_where_the_module_looks_for_it():
    assert PLACES["fields"].load() is Fields
