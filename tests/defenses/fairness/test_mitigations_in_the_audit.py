"""Mitigations as an audit names them: built from options, put before a target, measured by the parts of the audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted
from part_world import a_context, small_world

from audit.modules.base import Context
from audit.modules.fairness.exposure import Exposure
from audit.modules.mitigation import changes
from audit.modules.protected import Shelf, protect
from audit.modules.report_card import ReportCard
from audit.target import Input, Insight
from audit.types import Answer, Ranked, Request

READS = frozenset({Input.NOTE, Input.INSTRUCTION, Input.ATTRIBUTES, Input.HISTORY, Input.TURNS})
WORLD = small_world()


def by_genre(request: Request) -> Answer:
    """Prefers the genres that come first in the alphabet, whatever the user likes."""
    offered = sorted(request.candidates or (), key=lambda i: (WORLD.catalog[i.id].attributes["genres"], i.id))
    return Answer(tuple(Ranked(i.id, i.title) for i in offered[: request.k]))


def by_word(request: Request) -> Answer:
    """Turns its list round for women, by the attribute and by the word alike."""
    offered = list(request.candidates or ())
    if request.user.attributes.get("gender") == "F" or " female " in request.user.note:
        offered.reverse()
    return Answer(tuple(Ranked(i.id, i.title) for i in offered[: request.k]))


def with_others(context: Context, folder: Path) -> Context:
    """The context with clean requests of users who are not under audit, as a run has them."""
    under_audit = {case.unit for case in context.cases}
    others = a_context(Scripted(by_genre), folder / "others", candidates=20, users=60)
    return replace(context, validation=lambda: tuple(c.request for c in others.cases if c.unit not in under_audit))


LISTS: dict[str, dict[str, Any]] = {
    "attribute-stripping": {},
    "fairness-instruction": {"wording": "equal-treatment"},
    "marginalise": {"attributes": {"gender": ["F", "M"]}},
    "fa-star-ir": {"protected": ["Western"], "share": 0.5, "depth": 4},
    "calibrated": {"weight": 0.5, "depth": 4},
    "exposure-aware": {"slack": 0.2, "depth": 4},
    "ifairlrs": {"weight": 0.3, "depth": 4},
}
DECISIONS: dict[str, dict[str, Any]] = {"fair-thresholds": {"targets": 4}, "fair-reduction": {"targets": 4}}


@pytest.mark.parametrize("name", LISTS)
def test_each_is_built_from_its_options_and_answers(name: str, tmp_path: Path) -> None:
    context = a_context(Scripted(by_genre, honours=READS, fingerprint="x"), tmp_path, candidates=20, users=30)
    context = with_others(context, tmp_path)
    built = Shelf({name: LISTS[name]}, "modules.fairness.defenses").build(context)
    card = ReportCard("fairness", 0.95)
    (placed,) = protect(built, context, card, metric="x")
    answers = placed.target.recommend([case.request for case in context.cases])
    assert all(a.outcome == "ok" and len(a.ids) == 5 and not a.detail for a in answers)
    assert not card.corrected(), "nothing says that it could not be put in place"


@pytest.mark.parametrize("name", DECISIONS)
def test_decisions_are_fitted_on_users_who_are_not_under_audit(name: str, tmp_path: Path) -> None:
    def scores(request: Request) -> Answer:
        low = 0.3 if request.user.attributes.get("gender") == "F" else 0.0
        told = (
            Ranked(i.id, i.title, (int(request.digest[:6], 16) % 90 / 90) * (1 - low)) for i in request.candidates or ()
        )
        return Answer(tuple(told))

    bare = Scripted(scores, tasks=("score",), honours=READS, reveals=frozenset({Insight.SCORES}), fingerprint="x")
    context = a_context(bare, tmp_path, task="score", users=20)
    built = Shelf({name: DECISIONS[name]}, "modules.fairness.defenses").build(context)
    under_audit = {case.request.user.id for case in context.cases}
    (placed,) = protect(built, context, ReportCard("fairness", 0.95), metric="x")
    assert bare.asked
    assert not under_audit & {request.user.id for request in bare.asked}
    answers = placed.target.recommend([case.request for case in context.cases])
    assert all(a.outcome == "ok" for a in answers)


def test_the_gap_to_histories_shrinks_by_the_audit_s_own_measure(tmp_path: Path) -> None:
    context = with_others(a_context(Scripted(by_genre, honours=READS), tmp_path, candidates=20, users=30), tmp_path)
    part = Exposure(groups="genres", smallest=5)
    before = part.run(context, examples=0)
    built = Shelf({"ifairlrs": LISTS["ifairlrs"]}, "modules.fairness.defenses").build(context)
    (placed,) = protect(built, context, ReportCard("fairness", 0.95), metric="x")
    behind = part.run(placed.context, examples=0)
    (mgu, left) = (next(f.estimate for f in out.findings if f.metric == "mgu") for out in (before, behind))
    assert mgu is not None
    assert left is not None
    assert left < 0.8 * mgu
    moved = changes("fairness", placed, {"exposure": part}, {"exposure": before}, examples=0)
    assert {f.params["of"] for f in moved.findings if f.params.get("part") == "exposure"}


def test_words_and_attribute_together_need_both(tmp_path: Path) -> None:
    bare = Scripted(by_word, honours=READS)
    context = a_context(bare, tmp_path, candidates=12, users=5)
    averaged: dict[str, Any] = {"attributes": {"gender": ["F", "M"]}}
    stacked = {"both": {"stack": {"attribute-stripping": {"attributes": ["name"]}, "marginalise": averaged}}}
    named: dict[str, Any] = {"marginalise": averaged, **stacked}
    one, both = protect(
        Shelf(named, "modules.fairness.defenses").build(context), context, ReportCard("fairness", 0.95), metric="x"
    )
    plain = context.cases[0].request
    said = [
        replace(plain, user=replace(plain.user, note=note, attributes={"gender": gender}))
        for note in ("I am a female user of this service.", "I am a male user of this service.")
        for gender in ("F", "M")
    ]
    assert len({a.ranked for a in bare.recommend(said)}) == 2
    assert len({a.ranked for a in one.target.recommend(said)}) == 2, "the words still tell"
    assert len({a.ranked for a in both.target.recommend(said)}) == 1
