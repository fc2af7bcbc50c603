"""Catalogues too small for exchanges: the audit goes on, and says for whom `swap` could not be asked."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from faithful_targets import scoring, weight
from helpers import Scripted
from part_world import a_context, small_world
from planted_causes import single

from audit.data.dataset import Dataset
from audit.modules.explanation.counterfactuals import Counterfactuals
from audit.modules.explanation.explained import explained
from audit.modules.explanation.faithfulness import Faithfulness
from audit.modules.explanation.module import Explanation
from audit.modules.explanation.stated import Stated
from audit.modules.explanation.values import Values
from audit.target import Input
from audit.types import Answer, Catalog, Item

FILMS = [Item("1", "Alien (1979)"), Item("2", "Heat (1995)"), Item("3", "Up (2009)")]
REASON = "the catalogue holds too few items that could be exchanged for those of the history"


def three_films(users: int = 6) -> Dataset:
    """Everybody has seen all three films, in an order of their own."""
    rows = [(f"u{u}", FILMS[(u + n) % 3].id, 4.0, float(n)) for u in range(users) for n in range(3)]
    frame = pd.DataFrame(rows, columns=["user", "item", "rating", "time"])
    return Dataset("three films", Catalog(FILMS), frame, rating_scale=(1.0, 5.0), like_above=3.0)


def by_films(**info):
    """Ranks all three films by what each past one is worth for it."""
    inner = scoring(lambda history, item, _: sum(weight(e, item) for e in history))
    return Scripted(
        lambda asked: inner.answer(asked if asked.candidates else replace(asked, candidates=tuple(FILMS))),
        **({"honours": inner.info.honours, "reveals": inner.info.reveals} | info),
    )


def had_everything(context, share: int):
    """The same, where every `share`-th user has had the whole catalogue."""
    data = context.dataset
    users = [case.unit for case in context.cases][::share]
    rows = [(user, item, 3.0, 0.0) for user in users for item in data.catalog]
    more = pd.DataFrame(rows, columns=list(data.interactions.columns))
    return replace(
        context, dataset=replace(data, interactions=pd.concat([more, data.interactions], ignore_index=True))
    ), users


def test_three_films_are_explained_by_deletion_and_the_swap_is_said_to_be_impossible(tmp_path):
    target = by_films()
    context = a_context(target, tmp_path, dataset=three_films(), users=6)
    module = Explanation(users=6, operators=["delete", "swap"], stated=False, fields=False)
    planned = {context.gateway.key(ask) for ask in module.plan(context)}
    output = module.run(context)
    assert context.gateway.usage().queries <= len(planned) + module.search_queries(context)
    found = {(f.metric, f.params.get("made_by") or f.params.get("operator"), f.params.get("method")): f
             for f in output.findings}  # fmt: skip
    assert found["unstable_rate", None, None].estimate is not None
    done = found["counterfactual_success", "delete", None]
    assert done.estimate is not None
    skipped = found["counterfactual_success", "swap", None]
    assert skipped.verdict == "not_applicable"
    assert f"of {done.n} left out because {REASON}" in skipped.reason
    for made_by in ("delete", "swap"):  # made by one and judged by the other: each needs both
        reason = found["comprehensiveness", made_by, "shapley"].reason
        assert (
            reason == f"0 users have an attribution that could be judged; {done.n} users left out here because {REASON}"
        )
    [efficiency] = [
        f for f in output.findings if f.params.get("check") == "efficiency" and f.params["method"] == "shapley"
    ]
    assert efficiency.estimate == pytest.approx(0.0, abs=1e-9)


def test_whoever_has_had_everything_is_left_out_of_swaps_and_counted(tmp_path):
    target = scoring(lambda history, item, _: sum(weight(e, item) for e in history))
    context, gone = had_everything(a_context(target, tmp_path, users=9, candidates=6, history=4), 3)
    part = Faithfulness(users=9, sanity=False, stability=False)
    output = part.run(context, examples=9)
    [made] = [f for f in output.findings if f.metric == "comprehensiveness" and f.params["method"] == "shapley"
              and f.params["made_by"] == "delete"]  # fmt: skip
    units = {case.id: case.unit for case in context.cases}
    judged = {units[case] for f in output.findings if f.metric == "faithfulness_gain" for case in output.values[f.id]}
    explainable = {case.unit for case in explained(context, 9).cases}
    assert judged == explainable - set(gone)
    assert made.n == len(judged)
    assert f"{len(explainable & set(gone))} users left out here because {REASON}" in made.note


def test_a_set_that_cannot_be_asked_is_an_error_and_no_question(tmp_path):
    target = by_films()
    context = a_context(target, tmp_path, dataset=three_films(), users=2)
    values = Values(context, explained(context, 2).cases, "swap")
    before = len(target.asked)
    everyone = frozenset(range(2))
    [[clean], [lost]] = values.answers([[everyone, everyone - {0}]])[0]
    assert (clean.outcome, lost.outcome) == ("ok", "error")
    assert REASON in lost.detail
    assert len(target.asked) == before


def test_counterfactuals_leave_out_who_cannot_be_asked_under_one_operator(tmp_path):
    context, gone = had_everything(a_context(single(), tmp_path, users=8, candidates=4, history=10), 4)
    part = Counterfactuals(operators=("delete", "swap"), users=8, repeats=4)
    assert len(part.plan(context)) > 0
    found = {(f.metric, f.params["operator"]): f for f in part.run(context, examples=1).findings}
    by_swap, by_delete = found["counterfactual_success", "swap"], found["counterfactual_success", "delete"]
    assert (by_delete.n, by_swap.n) == (8, 8 - len(gone))
    assert by_swap.estimate == 1.0
    assert f"{len(gone)} of 8 left out because {REASON}" in by_swap.note
    assert REASON not in by_delete.note
    # Of those that both can ask, each is tried by the other.
    assert f"{8 - len(gone)} of {8 - len(gone)} change it by delete too" in by_swap.note


def test_stated_reasons_that_cannot_be_exchanged_are_counted(tmp_path):
    def answer(asked):
        named = asked.user.history[0].item.title if asked.user.history else "nothing"
        return Answer(text=f'1. {FILMS[0].title} - Since you liked "{named}", this will please you.')

    target = Scripted(answer, tasks=("rank", "answer"), honours=frozenset({Input.HISTORY, Input.ITEM_TEXT}))
    context = a_context(target, tmp_path, dataset=three_films(), users=6)
    part = Stated(users=6, operator="swap")
    assert part.plan(context)
    [precise] = [f for f in part.run(context, examples=1).findings if f.metric == "stated_precision"]
    assert f"left out because {REASON}" in precise.reason


def test_the_world_of_the_other_tests_can_be_exchanged(tmp_path):
    target = scoring(lambda history, item, _: sum(weight(e, item) for e in history))
    context = a_context(target, tmp_path, dataset=small_world(), users=4, candidates=6, history=4)
    assert not Values(context, explained(context, 4).cases, "swap").unmet
