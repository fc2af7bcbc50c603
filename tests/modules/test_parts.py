"""Modules made of parts: what cannot be asked says so, and what a defense changes is compared within units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted, first_candidates
from part_world import a_context

from audit import stats
from audit.defense import DefenseInfo, Rewriting
from audit.edits import CandidateReorder, Edit
from audit.errors import ConfigError
from audit.gateway import Ask
from audit.modules.base import Context, ModuleInfo, Output
from audit.modules.parts import Parts, Place, build_parts
from audit.modules.protected import Shelf
from audit.modules.report_card import ReportCard
from audit.target import Recommender
from audit.types import Request

INFO = ModuleInfo("fairness", "Parts", "?", ("first_number", "mitigation_change"))


@dataclass(frozen=True)
class First:
    """How far from the front of the offer the first recommendation stands."""

    scale: float = 1.0
    attributes: Sequence[str] = ()
    _: Any = field(default=None, repr=False)

    def lacking(self, context: Context) -> str | None:
        return None if context.requests[0].candidates else "no candidates are offered"

    def plan(self, context: Context) -> list[Ask]:
        return [Ask(r) for r in context.requests]

    def run(self, context: Context, *, examples: int) -> Output:
        card = ReportCard("fairness", context.level)
        answers = context.ask(context.requests)
        places = [
            self.scale * [c.id for c in r.candidates or ()].index(str(a.ids[0]))
            for r, a in zip(context.requests, answers, strict=True)
        ]
        card.add(
            "first_number",
            "Place of the first item",
            stats.mean_interval(places, rng=context.rng("first"), level=card.level, bounds=(0.0, 20.0)),
            n=len(places),
            direction="neither",
            values={case.id: place for case, place in zip(context.cases, places, strict=True)},
        )
        return Output(card.corrected(), [], card.values)


class _Turned(Rewriting):
    def edits(self, requests: Sequence[Request]) -> list[tuple[Edit, ...]]:
        return [(CandidateReorder(tuple(reversed(range(len(r.candidates or ()))))),) for r in requests]


class Turn:
    """A defense that offers the candidates in the opposite order."""

    info = DefenseInfo("turn", "Turned round", "?", "none", "prompt", frozenset())

    def protect(self, target: Recommender) -> Recommender:
        return _Turned(target, self.info, {})


class _Placed(Shelf):
    def build(self, context: Context) -> dict[str, Any]:
        return {"turn": Turn()}


PLACES = {"first": Place(f"{__name__}:First", "first_number", "Where the first item stands")}


def parts(shelf: Shelf | None = None, **options: Any) -> Parts:
    built = build_parts(PLACES, {"first": options or True}, where="modules.test")
    return Parts(INFO, PLACES, built, shelf or Shelf((), "modules.test.defenses"), examples=2)


def test_a_part_that_cannot_be_asked_says_why(tmp_path: Path) -> None:
    output = parts().run(a_context(Scripted(first_candidates), tmp_path))
    (finding,) = output.findings
    assert (finding.verdict, finding.metric) == ("not_applicable", "first_number")
    assert finding.reason == "no candidates are offered"
    assert finding.params == {"part": "first"}


def test_what_a_defense_changes_is_compared_within_units(tmp_path: Path) -> None:
    target = Scripted(first_candidates)
    context = a_context(target, tmp_path, candidates=10)
    output = parts(_Placed({"turn": {}}, "modules.test.defenses")).run(context)
    bare, changed = output.findings
    assert bare.estimate == 0
    assert changed.metric == "mitigation_change"
    assert changed.params["defense"] == "turn"
    assert changed.params["of"] == "first_number"
    assert changed.params["finding"] == bare.id
    assert changed.estimate == 9, "behind it the first of ten is the last"
    assert changed.n == len(context.cases)
    assert changed.p is not None
    assert changed.p < 0.01
    assert changed.note == "0 without, 9 behind it"
    assert set(output.values[changed.id].values()) == {9.0}
    assert len(target.asked) == 2 * len(context.cases)


def test_the_plan_counts_every_defense(tmp_path: Path) -> None:
    context = a_context(Scripted(first_candidates), tmp_path, candidates=10)
    assert parts().search_queries(context) == 0
    assert parts(_Placed({"turn": {}}, "x")).search_queries(context) == len(context.cases)
    assert len(parts().plan(context)) == len(context.cases)


def test_questions_that_hang_on_answers_are_paid_beside_what_another_part_asks(tmp_path: Path) -> None:
    class Adaptive(First):
        def stand_ins(self, context: Context) -> list[Ask]:
            return self.plan(context)

    context = a_context(Scripted(first_candidates), tmp_path, candidates=10)
    n = len(context.cases)
    both = Parts(INFO, PLACES, {"first": First(), "search": Adaptive()}, Shelf((), "x"), examples=2)
    assert len({context.gateway.key(ask) for ask in both.plan(context)}) == n
    assert both.search_queries(context) == n, "the search may ask others than those that are asked anyway"
    alone = Parts(INFO, PLACES, {"search": Adaptive()}, Shelf((), "x"), examples=2)
    assert alone.search_queries(context) == 0
    behind = Parts(INFO, PLACES, both.built, _Placed({"turn": {}}, "x"), examples=2)
    assert behind.search_queries(context) == n + 2 * n


def test_a_block_may_be_left_out_or_be_wrong() -> None:
    assert build_parts(PLACES, {"first": False}, where="m") == {}
    assert build_parts(PLACES, {"first": None}, where="m") == {}
    (built,) = build_parts(
        PLACES, {"first": {"scale": 2.0}}, where="m", shared={"attributes": ["a"], "other": 1}
    ).values()
    assert built == First(2.0, ["a"])
    with pytest.raises(ConfigError, match=r"m\.first\.scal: no option has this name; did you mean 'scale'"):
        build_parts(PLACES, {"first": {"scal": 2.0}}, where="m")
