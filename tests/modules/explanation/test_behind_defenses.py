"""Faithfulness behind a defense, by swaps too: one that takes the cause away, and one that votes on masked copies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from faithful_targets import deaf, scoring, single_cause, weight
from helpers import Scripted
from part_world import a_context

from audit import registry
from audit.defense import Defended, DefenseInfo, Rewriting
from audit.edits import Edit, HistoryDrop, Zone
from audit.modules.explanation.explained import explained
from audit.modules.explanation.faithfulness import Faithfulness
from audit.modules.explanation.module import Explanation
from audit.modules.explanation.values import Values
from audit.target import Insight
from audit.types import Answer, Ranked, Request
from defenses.smoothing.ranmask import RanMask

USERS = 12
PART = Faithfulness(users=USERS, operators=["delete", "swap"], sanity=False, stability=False)


class _Censor:
    """A defense that takes the items of some ids out of every history."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = frozenset(ids)
        self.info = DefenseInfo(
            id="censor", title="Censor", why="A test needs it.", reference="none", family="profile",
            guards=frozenset({Zone.PLATFORM}),
        )  # fmt: skip

    def protect(self, target: object) -> Defended:
        ids = self.ids

        class Censored(Rewriting):
            def edits(self, requests: Sequence[Request]) -> list[tuple[Edit, ...]]:
                return [
                    tuple(
                        HistoryDrop(i) for i in reversed(range(len(r.user.history))) if r.user.history[i].item.id in ids
                    )
                    for r in requests
                ]

        return Censored(target, self.info, {"ids": sorted(ids)})  # type: ignore[arg-type]


def a_planted(folder, *, history=4):
    """A target with one cause per user, and those causes."""
    context = a_context(deaf(), folder / "look", users=USERS, candidates=6, history=history)
    causes = {c.unit: c.request.user.history[n % history].item.id for n, c in enumerate(context.cases)}
    return a_context(single_cause(causes), folder, users=USERS, candidates=6, history=history), causes


def of(output, metric, **params):
    return [f for f in output.findings if f.metric == metric and params.items() <= f.params.items()]


def test_behind_a_defense_that_takes_the_cause_away_no_reason_is_left(tmp_path, monkeypatch):
    context, causes = a_planted(tmp_path)
    real = registry.load

    def load(kind, name, *, where):
        return (lambda: _Censor(list(causes.values()))) if name == "censor" else real(kind, name, where=where)

    monkeypatch.setattr(registry, "load", load)
    module = Explanation(
        users=USERS, operators=["delete", "swap"], counterfactuals=True, stated=False, fields=False,
        faithfulness={"sanity": False, "stability": False}, defenses=["censor"],
    )  # fmt: skip
    planned = len({context.gateway.key(ask) for ask in module.plan(context)}) + module.search_queries(context)
    output = module.run(context)
    assert context.gateway.usage().queries <= planned
    changes = {f.params["finding"]: f for f in of(output, "mitigation_change", defense="censor")}
    for made_by, judge in (("delete", "swap"), ("swap", "delete")):
        [bare] = of(output, "comprehensiveness", method="shapley", made_by=made_by, operator=judge)
        assert bare.estimate == pytest.approx(5.0)
        assert changes[bare.id].estimate == pytest.approx(-(bare.effect or 0))
        assert changes[bare.id].note.endswith("without, 0 behind it")
        [gain] = of(output, "faithfulness_gain", method="shapley", made_by=made_by, against="random")
        assert changes[gain.id].estimate == pytest.approx(-gain.estimate)
        assert changes[gain.id].p_adjusted < 0.05
    [found] = of(output, "counterfactual_success", operator="swap")
    assert found.estimate == 1.0
    assert changes[found.id].note.endswith("without, 0 behind it")


@pytest.mark.parametrize("kept", [1, 3])
def test_lists_that_are_voted_are_read_by_places_and_judged_by_swaps_too(tmp_path, kept):
    bare = scoring(lambda history, item, _: sum(weight(e, item) for e in history), fingerprint="weights")
    target = RanMask(of="history", kept=kept, mode="exact").protect(bare)
    context = a_context(target, tmp_path, users=USERS, candidates=6, history=4)
    for operator in ("delete", "swap"):
        assert Values(context, explained(context, USERS).cases, operator).scale == "reciprocal rank"
    output = PART.run(context, examples=1)
    for made_by, judge in (("delete", "swap"), ("swap", "delete")):
        [found] = of(output, "comprehensiveness", method="shapley", made_by=made_by, operator=judge)
        assert found.params["scale"] == "reciprocal rank"
        assert found.n >= 5
        assert found.effect > 0


def test_a_yes_or_no_that_is_voted_is_explained_by_swaps_too(tmp_path):
    def answer(asked):
        total = sum(weight(e, asked.candidates[0]) - 2.0 for e in asked.user.history if e.item.id != "<mask>")
        return Answer(tuple(Ranked(c.id, c.title, 1 / (1 + math.exp(-total))) for c in asked.candidates))

    bare = Scripted(answer, tasks=("score",), reveals=frozenset({Insight.SCORES}), fingerprint="yes")
    target = RanMask(of="history", kept=3, mode="exact").protect(bare)
    context = a_context(target, tmp_path, task="score", users=USERS, history=5)
    found = explained(context, USERS)
    assert Values(context, found.cases, "swap").scale == "logit of yes"
    output = PART.run(context, examples=1)
    for made_by in ("delete", "swap"):
        [one] = of(output, "comprehensiveness", method="shapley", made_by=made_by)
        assert one.n == len(found.cases)
        assert one.effect > 0


def test_falls_on_two_scales_are_not_compared(tmp_path):
    bare = scoring(lambda history, item, _: sum(weight(e, item) for e in history), fingerprint="weights")
    context = a_context(bare, tmp_path, users=USERS, candidates=6, history=4)
    module = Explanation(
        users=USERS, operators=["delete", "swap"], counterfactuals=False, stated=False, fields=False,
        faithfulness={"sanity": False, "stability": False}, defenses={"ranmask": {"of": "history", "kept": 3}},
    )  # fmt: skip
    output = module.run(replace(context))
    compared = {f.params["of"] for f in of(output, "mitigation_change", defense="ranmask") if f.estimate is not None}
    assert "faithfulness_gain" in compared
    assert not compared & {"comprehensiveness", "sufficiency"}
