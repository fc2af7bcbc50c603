"""Counterfactuals on targets whose causes are known exactly, on a deaf twin, and on targets that are unsure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import Scripted
from part_world import a_context
from planted_causes import deaf, decided, either, present, single, yes_or_no

from audit.edits import HistoryDrop, HistoryReplace
from audit.modules.explanation.counterfactuals import Counterfactuals
from audit.modules.explanation.module import INFO, PLACES
from audit.types import Answer, Ranked

PART = Counterfactuals(operators=("delete",), users=8, placebos=5, repeats=4)


def run(target, tmp_path, part=PART, *, change=None, history=10, **block):
    context = a_context(target, tmp_path, users=8, **{"candidates": 4, "history": history, **block})
    if change is not None:
        context = replace(
            context, cases=[replace(c, request=change(n, c.request)) for n, c in enumerate(context.cases)]
        )
    assert part.lacking(context) is None
    output = part.run(context, examples=3)
    assert {f.metric for f in output.findings} <= set(INFO.metrics)
    assert len({f.id for f in output.findings}) == len(output.findings)
    assert set(output.values) <= {f.id for f in output.findings}
    return output, {(f.metric, f.params["operator"]): f for f in output.findings}


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("operator", ["delete", "placeholder", "swap"])
def test_a_single_cause_is_found_in_all_cases_with_size_one(tmp_path, operator, scores):
    part = replace(PART, operators=(operator,))
    output, found = run(single(scores=scores), tmp_path, part)
    success, size = found["counterfactual_success", operator], found["counterfactual_size", operator]
    assert (success.estimate, success.n, size.estimate) == (1.0, 8, 1.0)
    assert success.floor == pytest.approx(0.1, abs=0.12), "a random item of ten is the cause one time in ten"
    assert success.p_adjusted < 0.02
    assert sum(output.values[success.id].values()) / 8 == pytest.approx(success.effect)
    assert found["counterfactual_verified", operator].estimate == 1.0
    assert size.note == "1 item: 8; 8 of 8 proven to be the smallest"
    one = output.evidence[0]
    assert "(checked in 4 of 4 runs)" in one.note
    assert one.note.startswith({"delete": "Removing “", "placeholder": "Hiding “", "swap": "Exchanging “"}[operator])
    (edit,) = one.edits
    assert edit.position == 4
    assert isinstance(edit, HistoryDrop if operator == "delete" else HistoryReplace)
    bars = {bar.note: bar.value for bar in one.attribution.bars}
    assert len(one.attribution.bars) == 10
    assert bars[{"delete": "removed here", "placeholder": "hidden here", "swap": "exchanged here"}[operator]] > 0
    assert bars[""] == 0


def test_two_causes_that_do_for_each_other_take_two_items(tmp_path):
    output, found = run(either(2, 7), tmp_path)
    assert found["counterfactual_success", "delete"].estimate == 1.0
    assert found["counterfactual_size", "delete"].estimate == 2.0
    assert found["counterfactual_size", "delete"].note == "2 items: 8; 8 of 8 proven to be the smallest"
    note = output.evidence[0].note
    assert note.startswith("Removing “")
    assert note.endswith("(checked in 4 of 4 runs); no smaller set does")
    assert " and “" in note


def test_a_target_that_ignores_history_has_none_and_it_is_said(tmp_path):
    output, found = run(deaf(scores=True), tmp_path, replace(PART, evaluations=80))
    success = found["counterfactual_success", "delete"]
    assert (success.estimate, success.floor, success.effect, success.p) == (0.0, 0.0, 0.0, 1.0)
    assert "8 with none within the budget" in success.note
    assert "no item of a history that was taken away decides any answer" in success.note
    for metric in ("counterfactual_size", "counterfactual_verified"):
        assert found[metric, "delete"].verdict == "not_applicable"
        assert "no set that changes a recommendation was found" in found[metric, "delete"].reason
    assert (
        output.evidence[0].note == "no set was found within the budget that changes this recommendation (63 sets tried)"
    )


def test_all_sets_of_a_short_history_prove_that_there_is_none(tmp_path):
    output, found = run(deaf(), tmp_path, history=3)
    assert "(8 after all sets)" in found["counterfactual_success", "delete"].note
    assert output.evidence[0].note == "no set of items changes this recommendation (7 sets tried)"


def test_a_decision_of_yes_flips_to_no(tmp_path):
    output, found = run(yes_or_no(), tmp_path, task="score")
    assert found["counterfactual_success", "delete"].estimate == 1.0
    assert "from yes to no for “" in output.evidence[0].note
    assert output.evidence[0].attribution.scale == "log-odds of yes"


def test_what_chance_does_is_not_called_a_cause(tmp_path):
    part = replace(PART, repeats=10, evaluations=60)
    _, found = run(decided(lambda asked: True, noise=0.04), tmp_path, part)
    success = found["counterfactual_success", "delete"]
    assert success.estimate == 0.0
    assert "found and not confirmed" in success.note
    assert found["counterfactual_verified", "delete"].estimate == 0.0
    assert found["counterfactual_size", "delete"].verdict == "not_applicable"


def test_sets_found_by_one_operator_are_tried_by_the_other(tmp_path):
    _, found = run(single(), tmp_path, replace(PART, operators=("swap", "delete")))
    assert "8 of 8 change it by swap too" in found["counterfactual_success", "delete"].note
    assert "8 of 8 change it by delete too" in found["counterfactual_success", "swap"].note
    assert found["counterfactual_success", "delete"].p_adjusted >= found["counterfactual_success", "delete"].p


def test_an_item_that_only_comes_back_because_it_was_taken_out_is_no_change(tmp_path):
    def answer(asked):
        had = {event.item.id for event in asked.user.history}
        catalog = [str(100 + i) for i in range(120)]
        return Answer(tuple(Ranked(i) for i in catalog if i not in had)[: asked.k])

    _, found = run(Scripted(answer), tmp_path, replace(PART, evaluations=40), candidates=None)
    assert found["counterfactual_success", "delete"].estimate == 0.0


def test_histories_of_none_one_and_many_items_and_doubles(tmp_path):
    def change(n, asked):
        past = asked.user.history
        new = [(), past[4:5], (*past[:5], past[4], *past[5:]), past][n % 4]
        return replace(asked, user=replace(asked.user, history=new))

    _, found = run(single(), tmp_path, change=change)
    success = found["counterfactual_success", "delete"]
    assert success.n == 6
    assert success.estimate == 1.0
    assert "2 with no history to take from" in success.note
    assert found["counterfactual_size", "delete"].note.startswith("1 item: 4, 2 items: 2")


def test_two_hundred_items_stay_within_the_budget(tmp_path):
    target = decided(lambda asked: len(asked.user.history) > 150)

    def change(n, asked):
        return replace(asked, user=replace(asked.user, history=asked.user.history * 20))

    part = replace(PART, users=2, evaluations=120)
    _, found = run(target, tmp_path, part, change=change)
    assert len(target.asked) < 2 * (3 + 120 + 5 + 2 * 4 + 1)
    assert found["counterfactual_success", "delete"].n == 2


def test_answers_that_cannot_be_read_or_change_from_repeat_to_repeat_are_counted(tmp_path):
    def rule(asked):
        return int(asked.user.id) % 2 == 0 or bool(present(asked, [4]))

    steady = decided(rule)

    def answer(asked):
        if int(asked.user.id) % 5 == 0:
            return Answer(outcome="refused", detail="no")
        return steady.answer(asked)

    _, found = run(Scripted(answer), tmp_path)
    success = found["counterfactual_success", "delete"]
    assert "whose answer could not be read" in success.note
    assert 0 < success.estimate < 1


def test_nothing_can_be_explained_and_why(tmp_path):
    def answer(asked):
        return Answer(outcome="refused", detail="no")

    _, found = run(Scripted(answer), tmp_path)
    assert found["counterfactual_success", "delete"].verdict == "not_applicable"
    assert "8 whose answer could not be read" in found["counterfactual_success", "delete"].reason


def test_it_runs_no_more_than_it_announced(tmp_path):
    target = either(2, 7)
    context = a_context(target, tmp_path, users=8, candidates=4, history=10)
    planned = len({(a.request.digest, a.repeat) for a in PART.plan(context)})
    PART.run(context, examples=1)
    assert planned / 10 < len(target.asked) <= planned


def test_it_lacks_what_it_needs_and_refuses_bad_options(tmp_path):
    context = a_context(single(), tmp_path, users=4, candidates=4, history=3)
    assert "free text" in PART.lacking(replace(context, task="answer"))
    bare = [replace(c, request=replace(c.request, user=replace(c.request.user, history=()))) for c in context.cases]
    assert PART.lacking(replace(context, cases=bare)) == "no request under audit holds a history"
    for options, said in (
        ({"users": 1}, "users: 1 must be a whole number of at least 2"),
        ({"evaluations": 0}, "evaluations: 0 must be"),
        ({"repeats": 1}, "repeats: 1 must be"),
        ({"operators": ["erase"]}, "operators: 'erase' must be one of delete, placeholder, swap"),
        ({"operators": "delete"}, "must be a list"),
    ):
        with pytest.raises(ValueError, match=said):
            Counterfactuals(**options)


def test_its_place_in_the_module():
    assert PLACES["counterfactuals"].load() is Counterfactuals
