"""Input that cannot be explained, or only in part: it is said and counted, and the rest goes on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from faithful_targets import digest, linear, scoring, weight
from helpers import Scripted, gateway
from part_world import a_context

from audit.errors import BudgetExhausted, ConfigError
from audit.gateway import Budget
from audit.modules.explanation.module import Explanation
from audit.modules.explanation.players import check_items
from audit.target import Input, Insight
from audit.types import Answer, Ranked

USERS = 15
SHAPES = ("none", "one", "doubled", "two hundred", "plain")


def shaped(context):
    """Histories of no item, of one, with the same item twice, and of two hundred, in turn."""

    def with_shape(n, case):
        events = case.request.user.history[:4]
        history = {
            "none": (),
            "one": events[:1],
            "doubled": events[:2] * 2,
            "two hundred": events * 50,
            "plain": events,
        }[SHAPES[n % len(SHAPES)]]
        return replace(case, request=replace(case.request, user=replace(case.request.user, history=history)))

    return replace(context, cases=[with_shape(n, case) for n, case in enumerate(context.cases)])


def yes_or_no():
    """Likes an item by the mean of what the past ones are worth for it."""

    def answer(asked):
        past = asked.user.history
        worth = {c.id: sum(weight(e, c) - 2.0 for e in past) / max(len(past), 1) for c in asked.candidates}
        return Answer(tuple(Ranked(c.id, c.title, 1 / (1 + math.exp(-worth[c.id]))) for c in asked.candidates))

    return Scripted(answer, tasks=("score",), reveals=frozenset({Insight.SCORES}))


def in_words():
    """Names the latest item as its reason."""

    def answer(asked):
        past = asked.user.history
        named = f'Since you liked "{past[-1].item.title}", this will please you.' if past else "It is well made."
        return Answer(text=f"1. Winter Garden (1999) - {named}")

    return Scripted(answer, tasks=("answer",), honours=frozenset({Input.HISTORY, Input.ITEM_TEXT}))


def with_a_prior():
    """Ranks by what the past ones are worth, and has a favourite without any."""
    return scoring(lambda history, item, _: digest(item.id) + sum(weight(e, item) for e in history))


@pytest.mark.parametrize(
    ("target", "task", "block"),
    [(with_a_prior, "rank", {"candidates": 6}), (yes_or_no, "score", {}), (in_words, "answer", {})],
)
def test_histories_of_every_length_stand_in_one_audit(tmp_path, target, task, block):
    context = shaped(a_context(target(), tmp_path, task=task, users=USERS, history=6, **block))
    module = Explanation(users=USERS, operators=["delete", "placeholder"], tokens=True, faithfulness={"orders": 2})
    planned = len({context.gateway.key(ask) for ask in module.plan(context)}) + module.search_queries(context)
    output = module.run(context)
    assert context.gateway.usage().queries <= planned
    for finding in output.findings:
        assert (finding.estimate is None) == bool(finding.reason)
        assert finding.estimate is None or math.isfinite(finding.estimate)
    of = {(f.metric, f.params.get("operator")): f for f in output.findings}
    if task == "answer":
        [matters] = [f for f in output.findings if f.params.get("of") == "recommendation"]
        assert matters.estimate == 0.0  # it recommends the same whatever is taken away
        assert "needs the weights" in of["attribution_agreement", None].reason
        return
    made = [f for f in output.findings if f.metric == "comprehensiveness" and f.params["method"] == "shapley"]
    for finding in made:
        assert finding.n == sum(len(case.request.user.history) > 1 for case in context.cases)
        assert "with fewer than two past items" in finding.note
        assert "only the latest 6 items are weighed, older ones stay in the request" in finding.note
    found = of["counterfactual_success", "delete"]
    assert "with no history to take from" in found.note
    assert "only the latest 6 items are weighed, older ones stay in the request" in found.note


def test_a_budget_of_nothing_stops_before_anything_is_asked(tmp_path):
    target = linear()
    context = a_context(target, tmp_path, users=4, candidates=6, history=4)
    door = gateway(target, context.gateway.store, budget=Budget(queries=0))
    with pytest.raises(BudgetExhausted, match="queries"):
        Explanation(users=4).run(replace(context, gateway=door))
    assert target.asked == []


@pytest.mark.parametrize("options", [{"evaluations": 0}, {"items": 0}, {"items": True}, {"users": 0}])
def test_options_that_leave_nothing_to_ask_are_refused_with_their_name_and_value(options):
    ((name, value),) = options.items()
    with pytest.raises(ConfigError, match=f"modules.explanation.*{name}: {value!r} must be a whole number of at least"):
        Explanation(**options)


def test_items_may_be_left_out_for_whole_histories():
    check_items(None, 2)
    check_items(2, 2)
    with pytest.raises(ValueError, match="or null for the whole history"):
        check_items("six", 2)


def test_only_the_latest_items_are_weighed_and_the_others_stay(tmp_path):
    from audit.modules.explanation.explained import explained
    from audit.modules.explanation.values import Values
    from audit.modules.explanation.variants import doubled, reordered, with_empty_place

    context = a_context(linear(), tmp_path, users=2, candidates=6, history=8)
    [case, *_] = explained(context, 2, items=3).cases
    past = [e.item.id for e in case.request.user.history]
    values = Values(context, [case], "delete")
    assert [p.position for p in values.players[0]] == [5, 6, 7]
    assert [e.item.id for e in values.request(0, frozenset({1})).user.history] == [*past[:5], past[6]]
    other = reordered(case, [2, 0, 1])
    assert [e.item.id for e in other.request.user.history] == [*past[:5], past[7], past[5], past[6]]
    twice = doubled(case, 0, 2)
    assert [e.item.id for e in twice.request.user.history] == [*past[:7], past[5]]
    gap = with_empty_place(case, 0)
    assert [e.item.id for e in gap.request.user.history] == [*past[:5], "placeholder", *past[5:]]
    assert (gap.weighed, gap.first) == (4, 5)
