"""Attributions in evidence: every bar with its interval, ties told without colour, and nothing foreign can act."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted
from part_world import a_context
from report_world import CLEAN, FLIP, HOSTILE

from audit.cli.show_evidence import print_evidence
from audit.findings import Attributed, Bar, Evidence
from audit.modules.base import Output
from audit.modules.report_card import ReportCard
from audit.modules.sheet import MOST_BARS, Sheet
from audit.report import render
from audit.report.attributions import MOST, chart, letters
from audit.run import Run
from audit.types import Answer, Ranked

MakeRun = Callable[..., Run]

BARS = (
    Bar("Heat (1995)", -0.2, -0.3, -0.1),
    Bar("Alien (1979)", 1.4, 1.1, 1.7, note="removing it changes the answer"),
    Bar("Jaws (1975)", 0.1, -0.1, 0.3, tied=1),
    Bar("Fargo (1996)", 0.15, -0.1, 0.4, tied=1),
)
MOVED = Attributed(
    BARS,
    "logit margin",
    method="Shapley values, items deleted",
    faithful=True,
    badge="gain over position 0.12 [0.03, 0.20], p 0.01",
    limits="the history of the prompt only",
)


def test_evidence_with_an_attribution_survives_json() -> None:
    piece = Evidence("u1", "What moved it", "abc", attribution=MOVED)
    assert Evidence.from_dict(piece.to_dict()) == piece
    bare = replace(piece, attribution=None)
    assert "attribution" not in bare.to_dict(), "older evidence keeps its id"
    assert piece.id != bare.id


def test_fields_of_a_later_format_are_passed_over() -> None:
    data = MOVED.to_dict()
    data["colour"], data["bars"][0]["colour"] = "red", "red"
    assert Attributed.from_dict(data) == MOVED


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"value": float("nan")}, "must be finite"),
        ({"value": 1.0, "low": 0.5}, "an interval has both ends"),
        ({"value": 1.0, "low": 0.5, "high": float("inf")}, "must be finite"),
    ],
)
def test_a_bar_that_cannot_be_drawn_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Bar("Alien (1979)", **fields)


def test_bars_stand_by_value_with_interval_and_ties() -> None:
    view = chart(MOVED)
    assert [line.label for line in view.lines] == ["Alien (1979)", "Fargo (1996)", "Jaws (1975)", "Heat (1995)"]
    assert (view.lines[0].value, view.lines[0].span, view.lines[3].value) == ("+1.400", "[1.100, 1.700]", "−0.200")
    assert [line.tied for line in view.lines] == ["", "A", "A", ""]
    assert "▒" in view.lines[3].blocks, "what speaks against it has its own pattern"
    assert "tied with group A" in view.lines[1].plot


def test_names_of_groups_do_not_run_out() -> None:
    assert [letters(n) for n in (0, 1, 26, 27, 52, 53)] == ["", "A", "Z", "AA", "AZ", "BA"]


@pytest.mark.parametrize("bars", [(), (Bar("x", 0.0),), (Bar("x", 0.0), Bar("", 0.0, 0.0, 0.0))])
def test_an_attribution_of_nothing_is_drawn_as_nothing(bars: tuple[Bar, ...]) -> None:
    assert len(chart(Attributed(bars, "share of samples")).lines) == len(bars)


def test_of_very_many_bars_the_longest_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    many = Attributed(tuple(Bar(f"item {i}", float(i)) for i in range(200)), "logit margin")
    view = chart(many)
    assert (len(view.lines), view.more, view.lines[0].label) == (MOST, 200 - MOST, "item 199")
    context = a_context(Scripted(), tmp_path, users=2)
    sheet = Sheet(context, ReportCard("explanation", 0.95, ()), Output(), 5)
    sheet.show("u1", "t", context.cases[0].request, "n", attribution=many)
    (kept,) = sheet.output.evidence
    assert kept.attribution is not None
    assert len(kept.attribution.bars) == MOST_BARS
    assert kept.note == f"n; {200 - MOST_BARS} shorter bars are not kept here"


@pytest.fixture
def audited(make_run: MakeRun) -> Run:
    note = "Removing Alien (1979) from the history changes this recommendation to Babe (1995) (checked in 9 of 10 runs)"
    piece = Evidence("u1", "What moved it", before=CLEAN.digest, note=note, attribution=MOVED)
    return make_run([replace(FLIP, evidence=(piece.id,))], [piece], clean=Answer((Ranked("3", "Fargo (1996)"),)))


def test_a_page_shows_bars_badge_and_sentence(audited: Run) -> None:
    html = render([audited], "html")
    assert html.count('class="bars attributed"') == 4
    assert "✔ faithful here" in html
    assert "gain over position 0.12" in html
    assert "checked in 9 of 10 runs" in html
    assert "Bars with the same letter cannot be told apart" in html
    assert "in logit margin; Shapley values, items deleted" in html
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_markdown_and_the_terminal_say_the_same(audited: Run, capsys: pytest.CaptureFixture[str]) -> None:
    text = render([audited], "md")
    assert "✔ faithful here: gain over position" in text
    assert "+1.400 [1.100, 1.700] (removing it changes the answer)" in text
    assert "+0.150 [−0.100, 0.400], tied: A" in text
    print_evidence(audited, audited.findings[0].evidence[0])
    out = capsys.readouterr().out
    assert "✔ faithful here: gain over position" in out
    assert "+0.100 [−0.100, 0.300]  tied: A" in out
    assert "logit margin" in out


def test_what_a_seller_wrote_is_shown_and_does_nothing(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    evil = f'{HOSTILE}"><img src=x onerror=alert(1)>\n# Head'
    bad = Attributed((Bar(evil, 1.0, note=evil),), evil, evil, False, evil, evil)
    piece = Evidence("u1", "t", before=CLEAN.digest, attribution=bad)
    run = make_run([replace(FLIP, evidence=(piece.id,))], [piece], clean=Answer((Ranked("3", "Fargo (1996)"),)))
    html, markdown = render([run], "html"), render([run], "md")
    print_evidence(run, piece.id)
    assert "<script" not in html
    assert "<img" not in html
    assert "<img" not in markdown
    assert "\n# Head" not in markdown
    for shown in (html, markdown, capsys.readouterr().out):
        assert not {"\x1b", "\u202e"} & set(shown)
    assert "✖ not shown to be faithful" in html
