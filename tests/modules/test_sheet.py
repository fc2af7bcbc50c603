"""Claims on a sheet: rulings become marks, by place, bounded, and what found no room is said."""

from __future__ import annotations

from pathlib import Path

from helpers import Scripted
from part_world import a_context

from audit.claims import Claim, Ruling
from audit.findings import ClaimMark
from audit.modules.base import Output
from audit.modules.report_card import ReportCard
from audit.modules.sheet import MOST_CLAIMS, Sheet, marked


def ruling(start: int, verdict: str, **fields: object) -> Ruling:
    claim = Claim("year", "1994", "Heat", "i2", start, start + 4, "Heat (1994).", **fields)  # type: ignore[arg-type]
    return Ruling(claim, verdict, "structured", "Heat (1995)", "i2", "the year is 1995")  # type: ignore[arg-type]


def test_rulings_become_marks_in_the_order_of_the_text() -> None:
    marks, left_out = marked([ruling(9, "contradicted"), ClaimMark(0, 4, "supported", "exists", "Heat")])
    assert left_out == 0
    assert [(m.start, m.predicate) for m in marks] == [(0, "exists"), (9, "year")]
    assert marks[1] == ClaimMark(
        9, 13, "contradicted", "year", "1994", "Heat", "structured", "i2", "Heat (1995)", "the year is 1995"
    )


def test_denials_and_guesses_are_said() -> None:
    (mark,), _ = marked([ruling(0, "supported", polarity=False, hedged=True)])
    assert mark.note == "the year is 1995; said as a denial; said as a guess"


def test_of_too_many_the_worst_are_kept_and_long_texts_are_cut() -> None:
    many = [ruling(5 * i, "supported") for i in range(MOST_CLAIMS)] + [ruling(9000, "contradicted")]
    marks, left_out = marked(many)
    assert (len(marks), left_out) == (MOST_CLAIMS, 1)
    assert marks[-1].verdict == "contradicted"
    (mark,), _ = marked([ClaimMark(0, 1, "supported", "passage", "x" * 5000, evidence="y" * 50_000)])
    assert len(mark.object) <= 200
    assert len(mark.evidence) <= 1210


def test_the_sheet_keeps_them_with_the_answer(tmp_path: Path) -> None:
    context = a_context(Scripted(), tmp_path, users=2)
    sheet = Sheet(context, ReportCard("hallucination", 0.95, ()), Output(), 5)
    case = context.cases[0]
    key = sheet.show(case.id, "One claim is wrong", case.request, "1 of 1", claims=[ruling(0, "contradicted")])
    (kept,) = sheet.output.evidence
    assert kept.id == key
    assert [m.verdict for m in kept.claims] == ["contradicted"]
    assert kept.note == "1 of 1"
    sheet.show(case.id, "t", case.request, "n", claims=[ruling(i, "supported") for i in range(MOST_CLAIMS + 7)])
    assert sheet.output.evidence[1].note == "n; 7 further claims are not kept here"
