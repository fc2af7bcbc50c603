"""Explanations in a report: the badge first, floors beside figures, and nothing called a reason that was not tried."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from markupsafe import escape
from reasons_world import AFTER, ASKED, BEFORE, EDITED, PIECES, SENTENCE, attributions, everything, fields, sets, words

from audit.findings import Finding, not_applicable
from audit.modules.explanation.module import INFO, PLACES
from audit.report import explanation_words, render
from audit.report import words as vocabulary
from audit.report.explanation import ExplanationView, explanation_view
from audit.report.explanation_remarks import believed
from audit.report.view import section
from audit.run import Run

MakeRun = Callable[..., Run]


def seen(findings: list[Finding]) -> ExplanationView:
    view = explanation_view(findings)
    assert view is not None
    return view


@pytest.mark.parametrize("metric", INFO.metrics)
def test_every_metric_has_a_meaning(metric: str) -> None:
    said = vocabulary.meaning(Finding("explanation", metric, "the title"))
    assert said != "the title"
    assert said.endswith(".")


def test_nothing_is_explained_that_is_not_measured() -> None:
    assert set(explanation_words.MEANINGS) == set(INFO.metrics)
    assert set(explanation_words.SHORT) <= set(INFO.metrics)


@pytest.mark.parametrize("part", PLACES)
def test_findings_are_read_by_part_in_the_order_of_the_module(part: str) -> None:
    key, title, _ = section(Finding("explanation", PLACES[part].metric, "t", {"part": part}))
    assert key == f"why:{part}:0"
    assert title == PLACES[part].title
    assert explanation_words.place(key) == (list(PLACES).index(part), "0")


def test_nothing_measured_is_no_view() -> None:
    skipped = not_applicable("explanation", "comprehensiveness", "t", "no history", {})
    assert explanation_view([skipped]) is None
    assert believed([skipped]) == "Not tested: no history."
    assert believed([]) == ""


def test_a_badge_needs_what_the_module_says_it_needs() -> None:
    first, second = seen(attributions()).methods
    assert (first.label, first.faithful, first.word) == ("Shapley values", True, "faithful")
    assert first.says == "better than the latest first (gain 0.14 [0.05, 0.22], corrected p 0.004)"
    assert (second.faithful, second.word, second.verdict) == (False, "not shown to be faithful", "inconclusive")
    assert second.says.startswith("not shown: not better than the latest first")
    assert first.how == "made with items removed, judged with items exchanged"


def test_everything_has_its_place_in_the_view() -> None:
    view = seen(everything())
    assert view.gains is not None
    assert [name for name, _ in view.gains.marks] == ["Shapley values, delete by swap", "Leave-one-out, delete by swap"]
    assert view.counterfactuals is not None
    assert [title for title, _ in view.counterfactuals.lines] == ["Items removed", "Items exchanged"]
    assert "as many items by chance change 10%" in view.counterfactuals.notes["Items removed"]
    assert [(line.label, line.told, line.protected) for line in view.fields] == [
        ("history", "disclosed", False),
        ("age", "not disclosed", True),
        ("the user's own words", "disclosed", False),
    ]
    assert {f.metric for f in view.checks} == {"unstable_rate", "position_effect", "stability", "sanity"}


def test_the_summary_says_what_can_be_believed() -> None:
    said = believed(everything())
    assert said.startswith(
        "Attributions over the history can be believed here by Shapley values: better than the latest"
    )
    assert "Where an item stands in the history moves its worth (+0.200), whatever it is." in said
    assert "For 90% [80%, 100%] of the recommendations, items were found, 1.3 on average, without which" in said
    assert "as many items by chance do so for 10%" in said
    assert (
        "not shown to matter more than those they leave out (20% against 25%), so its words are no explanation" in said
    )
    assert "the user never had" in said
    assert "Age moves answers and is not disclosed." in said


def test_the_summary_claims_no_more_than_was_shown() -> None:
    said = believed([*attributions(faithful=False), *sets(0.0), *words(0.8, 0.1), *fields(0.0)])
    assert "no attribution over the history is shown to be faithful here" in said.lower()
    assert "For none of 20 recommendations were items found" in said
    assert "items that its own words name as reasons matter more than others (80% against 10%)" in said.lower()
    assert "not disclosed" not in said


@pytest.fixture
def audited(make_run: MakeRun) -> Run:
    run = make_run([replace(f, verdict=None) for f in everything()], PIECES)
    run.store.put_answers(run.id, [("a", ASKED, 0, BEFORE), ("b", EDITED, 0, AFTER)])
    return run


def test_the_page_and_markdown_show_it_all(audited: Run) -> None:
    html, text = render([audited], "html"), render([audited], "md")
    for shown in (html, text):
        assert "Can its reasons be believed?" in shown
        assert "not shown to be faithful" in shown
        assert "What would change it" in shown
    assert "protected attribute" in html
    assert "<svg" in html
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


def test_explanations_are_shown_once_whatever_their_verdict(make_run: MakeRun, audited: Run) -> None:
    failing = make_run([replace(f, verdict="fail", severity="high") for f in sets()], PIECES, name="failing")
    failing.store.put_answers(failing.id, [("c", ASKED, 0, BEFORE), ("d", EDITED, 0, AFTER)])
    for run in (audited, failing):
        html = render([run], "html")
        assert html.count(f"<p>{escape(SENTENCE)}</p>") == 1
        assert "Right of the line speaks for the answer" in html
    assert "Some answers explained (3)" in render([audited], "md")
    assert "Some answers explained" not in render([failing], "html"), "it is shown with the check that fails"


def test_nothing_that_a_target_wrote_can_act(make_run: MakeRun) -> None:
    evil = "<script>alert(1)</script>\n# Head | `x`"
    hostile: list[Any] = [replace(f, title=evil, note=evil) for f in everything()]
    run = make_run(hostile)
    html, text = render([run], "html"), render([run], "md")
    assert "<script" not in html
    assert "<script" not in text
    assert "\n# Head" not in text
