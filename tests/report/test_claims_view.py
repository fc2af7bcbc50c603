"""Claims in an answer: every one in its place, told without colour, and nothing that the answer says can act."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from report_world import CLEAN, EDIT, EDITED, FLIP, HOSTILE

from audit.cli.show_evidence import find, print_evidence
from audit.errors import ConfigError
from audit.findings import ClaimMark, Evidence
from audit.report import render
from audit.report.claims import MOST, claimed
from audit.run import Run
from audit.types import Answer, Ranked

MakeRun = Callable[..., Run]

TEXT = "Heat (1994) is a crime film by Michael Mann. You will like it."


def mark(part: str, verdict: str = "contradicted", predicate: str = "year", of: str = "", **fields: Any) -> ClaimMark:
    start = TEXT.index(part)
    return ClaimMark(start, start + len(part), verdict, predicate, of or part, "Heat", **fields)  # type: ignore[arg-type]


YEAR = mark(
    "1994", decided_by="structured", source="i2", evidence="Heat (1995), by Michael Mann", note="the year is 1995"
)
GENRE = mark("crime film", "supported", "genre", "crime", decided_by="nli")
MOOD = mark("like it", "unverifiable", "user_likes", note="no row says so")


def joined(view: Any) -> str:
    return "".join(stretch.text for stretch in view.stretches)


def test_the_text_is_whole_and_numbers_stand_where_claims_end() -> None:
    view = claimed(TEXT, [MOOD, GENRE, YEAR])
    assert joined(view) == TEXT
    assert [(s.text, s.ends) for s in view.stretches if s.ends] == [
        ("1994", ((1, "contradicted"),)),
        ("crime film", ((2, "supported"),)),
        ("like it", ((3, "unverifiable"),)),
    ]
    assert [line.what for line in view.lines] == [
        "Heat, year: 1994",
        "Heat, genre: crime",
        "Heat, the user likes like it",
    ]
    assert view.lines[0].evidence == "Heat (1995), by Michael Mann"


def test_a_claim_inside_another_is_seen_with_its_own_verdict() -> None:
    outer = mark("Heat (1994) is a crime film", "supported", "passage")
    view = claimed(TEXT, [outer, YEAR])
    assert joined(view) == TEXT
    assert [(s.text, s.verdict) for s in view.stretches[:3]] == [
        ("Heat (", "supported"),
        ("1994", "contradicted"),
        (") is a crime film", "supported"),
    ]


def test_overlapping_claims_and_claims_of_one_place_lose_nothing() -> None:
    first, second = mark("1994) is a crime", "supported"), mark("crime film", "unverifiable", "genre")
    same = replace(second, verdict="contradicted", object="horror")
    view = claimed(TEXT, [first, second, same])
    assert joined(view) == TEXT
    ends = [number for s in view.stretches for number, _ in s.ends]
    assert sorted(ends) == [1, 2, 3]
    assert next(s.verdict for s in view.stretches if s.text == " film") == "contradicted", "of equals the worst"


@pytest.mark.parametrize(("start", "end"), [(0, 0), (5, 5), (len(TEXT), len(TEXT) + 4), (10**9, 10**9 + 1)])
def test_a_claim_whose_place_is_not_in_the_text_is_listed_all_the_same(start: int, end: int) -> None:
    view = claimed(TEXT, [replace(YEAR, start=start, end=end)])
    assert joined(view) == TEXT
    assert [line.placed for line in view.lines] == [False]
    assert claimed("", [YEAR]).stretches == ()


def test_a_long_answer_is_cut_around_its_claims_and_the_worst_claims_have_the_room() -> None:
    filler = "word " * 400_000
    text = filler + "1994" + filler + "1995" + filler
    at = [len(filler), 2 * len(filler) + 4]
    marks = [ClaimMark(i, i + 4, "contradicted", "year", "x") for i in at]
    view = claimed(text, marks)
    assert len(joined(view)) < 1500
    assert [s.text for s in view.stretches if s.verdict] == ["1994", "1995"]
    many = [ClaimMark(i, i + 1, "supported", "year", "x") for i in range(MOST + 12)]
    view = claimed("x" * 100, [*many, ClaimMark(90, 95, "contradicted", "year", "x")])
    assert len(view.lines) == MOST
    assert "contradicted" in {line.verdict for line in view.lines}
    assert view.more == (("supported", 13),)
    assert len(joined(claimed("x" * 5000, [ClaimMark(0, 5000, "supported", "passage", "x")]))) < 500


@pytest.fixture
def audited(make_run: MakeRun) -> Run:
    free = replace(CLEAN, task="answer", candidates=None)
    piece = Evidence("u1", "One claim is wrong", before=free.digest, claims=(YEAR, GENRE, MOOD))
    run = make_run([replace(FLIP, evidence=(piece.id,))], [piece])
    run.store.put_answers(run.id, [("key", free, 0, Answer((), text=TEXT))])
    return run


def test_a_page_marks_claims_by_shape_and_word_and_links_them(audited: Run) -> None:
    html = render([audited], "html")
    assert '<mark class="c-contradicted">1994</mark><sup class="c-contradicted"><a href="#' in html
    assert ">1✖</a>" in html
    assert "✖ contradicted" in html
    assert "? cannot be checked" in html
    assert "✔ supported" in html
    assert "Heat (1995), by Michael Mann" in html
    assert "an empty list" not in html, "free text is no empty list"
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


def test_markdown_numbers_the_claims_and_says_what_decided(audited: Run) -> None:
    text = render([audited], "md")
    assert r"Heat ( **1994** \[1✖\]" in text
    assert r"\[1\] ✖ contradicted: Heat, year: 1994; decided by structured facts: the year is 1995" in text
    assert text.index("contradicted: Heat") < text.index("cannot be checked: Heat") < text.index("supported: Heat")


def test_the_terminal_shows_one_piece(audited: Run, capsys: pytest.CaptureFixture[str]) -> None:
    key = audited.findings[0].evidence[0]
    print_evidence(audited, find(audited, key[:6]))
    out = " ".join(capsys.readouterr().out.split())  # a narrow terminal breaks lines
    assert "Heat (⟦1994⟧1✖) is a ⟦crime film⟧2✔" in out
    assert "1 ✖ contradicted Heat, year: 1994; decided by structured facts: the year is 1995" in out
    assert "i2: Heat (1995), by Michael Mann" in out


@pytest.mark.parametrize(("prefix", "said"), [("zz", "is no evidence of this run"), ("", "is no evidence")])
def test_evidence_that_is_not_there_is_named(audited: Run, prefix: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        find(audited, prefix)


def test_what_an_answer_writes_is_shown_and_does_nothing(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    evil = f"{HOSTILE}\n# Head\n<img src=x onerror=alert(1)> ``` </details> \x9b2J"
    free = replace(CLEAN, task="answer")
    whole = ClaimMark(0, len(evil), "contradicted", evil, evil, evil, evil, evil, evil, evil)
    inner = ClaimMark(5, 40, "unverifiable", "passage", evil)
    piece = Evidence("u1", evil, before=free.digest, claims=(whole, inner), note=evil)
    run = make_run([replace(FLIP, evidence=(piece.id,))], [piece])
    run.store.put_answers(run.id, [("key", free, 0, Answer((), text=evil))])
    html, markdown = render([run], "html"), render([run], "md")
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;scrip" in html
    print_evidence(run, piece.id)
    printed = capsys.readouterr().out
    for shown in (html, markdown, printed):
        assert not {"\x1b", "\u202e", "\x9b"} & set(shown)
    for tag in ("<script", "<img", "```"):
        assert tag not in markdown.partition("Run facts")[0]
    assert markdown.count("</details>") == markdown.count("<details>")
    assert "\n# Head" not in markdown


def test_claims_belong_to_the_answer_after_an_edit(make_run: MakeRun) -> None:
    piece = Evidence("u1", "t", CLEAN.digest, EDITED.digest, edits=(EDIT,), claims=(YEAR,))
    answer = Answer((Ranked("3"),), text=TEXT)
    run = make_run([replace(FLIP, evidence=(piece.id,))], [piece], clean=answer, edited=answer)
    html = render([run], "html")
    assert html.count("<mark") == 1
    assert html.index("Answer after the edit") < html.index("<mark")
