"""Hallucination in a report: the checker first, titles between bounds, claims in three, nothing merged."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from made_up_world import ANSWER, ASKED, SHOWN, arms, checker, claims, found, items

from audit.findings import Finding, not_applicable
from audit.modules.hallucination.gates import LEAST_EXISTENCE_F1, LEAST_PRECISION, MOST_FALSE_ALARMS
from audit.report import hallucination as view_of
from audit.report import render
from audit.report.hallucination import HallucinationView, hallucination_view
from audit.report.hallucination_plots import bounds, stacked
from audit.report.hallucination_remarks import grounded, made_up
from audit.run import Run

MakeRun = Callable[..., Run]
UNMET = ("of planted errors, 78% of what the checker rules contradicted is contradicted in truth, and 90% is needed",)


def seen(findings: list[Finding]) -> HallucinationView:
    view = hallucination_view(findings)
    assert view is not None
    return view


def test_nothing_measured_is_no_view() -> None:
    assert hallucination_view([]) is None
    assert hallucination_view([not_applicable("hallucination", "checker_f1", "t", "why", {})]) is None
    assert hallucination_view([Finding("quality", "absent_rate", "t", estimate=0.5, ci=(0.4, 0.6))]) is None


def test_the_gates_are_those_of_the_module() -> None:
    limits = (view_of.LEAST_EXISTENCE_F1, view_of.LEAST_PRECISION, view_of.MOST_FALSE_ALARMS)
    assert limits == (LEAST_EXISTENCE_F1, LEAST_PRECISION, MOST_FALSE_ALARMS)


@pytest.mark.parametrize(
    ("findings", "verdict", "said"),
    [
        (checker(), "pass", "Yes: it meets its gates"),
        (checker(f1=0.94), "fail", "misses 1 gate of 3"),
        (checker(precision=0.8, alarms=0.05), "fail", "misses 2 gates of 3"),
        (items("rank", 0.1, 0.2), "inconclusive", "was not audited"),
        (checker()[:2], "inconclusive", "not every gate"),
        ([*checker(), *items("rank", 0.1, 0.2, UNMET)], "fail", "nothing is concluded"),
    ],
)
def test_the_checker_is_believed_only_if_every_gate_is_met(findings: list[Finding], verdict: str, said: str) -> None:
    trust = seen(findings).checker
    assert trust.verdict == verdict
    assert said in trust.answer


def test_kinds_and_the_confusion_of_the_checker_are_arranged() -> None:
    ruled = [
        found("checker_confusion", share, {"part": "checker", "truth": "contradicted", "ruled": name})
        for name, share in (("contradicted", 0.7), ("supported", 0.1), ("not_extracted", 0.2))
    ]
    trust = seen([*checker(), *ruled]).checker
    assert [line.kind for line in trust.kinds][:2] == ["year ±1", "year ±20"]
    assert trust.columns == ("checker_recall", "checker_precision")
    assert trust.confusion is not None
    ((truth, cells),) = trust.confusion.lines
    assert truth == "False"
    assert [None if f is None else f.estimate for f in cells] == [0.1, 0.7, None, 0.2]


def test_titles_have_both_bounds_and_lists_come_before_free_text() -> None:
    view = seen([*items("answer", 0.12, 0.19), *items("rank", 0.0, 0.01)])
    assert [(line.label, line.low.estimate) for line in view.items] == [("Lists", 0.0), ("Free text", 0.12)]
    assert view.items[1].high is not None
    assert view.items[1].high.estimate == 0.19
    assert view.items[1].corrected is not None
    titles = [title for title, _ in view.item_table.lines]
    assert "The same, where nobody states the wish" in titles
    drawn = str(bounds(view.items))
    assert "Free text: 12% to 19%" in drawn
    assert drawn.count('class="hatch"') == 2, "what lies between the bounds is told without colour"


def test_claims_stay_in_three_and_guesses_apart() -> None:
    view = seen(claims(0.45, 0.15))
    assert view.claims is not None
    assert [f.estimate for f in view.claims.parts] == [0.45, 0.15, 0.4]
    assert [stack.label for stack in view.predicates] == ["year", "genre", "award"]
    assert view.corrected is not None
    drawn = str(stacked((view.claims, *view.predicates)))
    assert "All claims: supported 45% [0.420, 0.480], contradicted 15% [0.120, 0.180], cannot be checked 40%" in drawn
    assert len(re.findall(r'class="bar"', drawn)) == 3 + 3 + 3 + 2, "a share of nothing has no bar"


def test_without_all_three_there_is_no_bar() -> None:
    view = seen([f for f in claims(0.45, 0.15) if f.metric != "unverifiable_rate"])
    assert view.claims is None


def test_a_foreign_predicate_or_kind_is_escaped_everywhere(make_run: MakeRun) -> None:
    evil = "<script>alert(1)</script>|\x1b[31m"
    ours = [replace(f, params={**f.params, "predicate": evil}) for f in claims(0.4, 0.1)[:3]]
    ours += [replace(f, params={**f.params, "kind": evil}) for f in checker()[:1]]
    run = make_run([*ours, *claims(0.4, 0.1), *items(evil, 0.1, 0.2, (evil,)), *checker()])
    for kind in ("html", "md"):
        shown = render([run], kind)
        assert "<script" not in shown
        assert "\x1b" not in shown


@pytest.fixture
def audited(make_run: MakeRun) -> Run:
    ours = [*checker(), *items("answer", 0.12, 0.19), *claims(0.45, 0.15)]
    ours = [replace(f, evidence=(SHOWN.id,)) if f.metric == "contradicted_rate" else f for f in ours]
    run = make_run(ours, [SHOWN])
    run.store.put_answers(run.id, [("key", ASKED, 0, ANSWER)])
    return run


def test_the_page_begins_with_the_checker(audited: Run) -> None:
    html = render([audited], "html")
    order = ["Can this checker be believed?", "Made-up titles.", "What it says of items.", "Shares of all answers"]
    places = [html.index(part) for part in order]
    assert places == sorted(places)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)
    assert "url(" not in html


def test_markdown_holds_the_same(audited: Run) -> None:
    text = render([audited], "md")
    assert "**✔ pass: can this checker be believed?** Yes: it meets its gates on planted errors." in text
    assert "| Free text | 12% [9%, 15%] | 19% [16%, 22%] | 11% [7.8%, 14%] | 100 |" in text
    assert "| All claims | 45% [42%, 48%] | 15% [12%, 18%] | 40% [37%, 43%] | 88 |" in text
    assert "| Corrected for the checker's errors | · | 18% [15%, 21%] | · | 100 |" in text
    assert "neither true nor made up" in text


def test_the_summary_says_it_in_words(audited: Run) -> None:
    said = made_up(audited.findings)
    assert said == (
        "In free text, 12% [9%, 15%] of the titles are in no row of the catalogue, up to 19% if titles near an item "
        "count too. Of what it says of items and of the user, 15% [12%, 18%] is contradicted by the facts, 45% is "
        "supported, and 40% nobody could check, which is neither true nor made up. Corrected for the checker's own "
        "errors, 18% [15%, 21%] is contradicted. 12% of its answers assert nothing that could be checked."
    )
    assert "Does it make things up?" in render([audited], "html")


def test_the_summary_does_not_conclude_from_a_checker_that_misses_its_gates() -> None:
    failed = [replace(f, verdict="fail") for f in items("rank", 0.3, 0.4, UNMET)]
    said = made_up([*checker(precision=0.78), *failed])
    assert said.startswith("Not decided: the checker of this audit does not meet its own gates here (of planted errors")
    assert "Yes" not in said
    alone = made_up([*checker(alarms=0.05), *items("rank", 0.3, 0.4)])
    assert "finds something wrong in an answer without an error: 0.05, and at most 0.02 is needed" in alone


@pytest.mark.parametrize(
    ("verdict", "lead"),
    [
        ("fail", "Yes, more than the policy allows."),
        ("inconclusive", "Not decided at this sample size."),
        ("pass", "No more than the policy allows."),
        (None, "In lists"),
    ],
)
def test_the_first_word_is_the_policys(verdict: str, lead: str) -> None:
    judged = [replace(f, verdict=verdict) for f in items("rank", 0.3, 0.4)]  # type: ignore[arg-type]
    assert made_up([*checker(), *judged]).startswith(lead)
    unaudited = made_up(judged)
    assert "how good the checker is was not measured" in unaudited.lower()


def test_what_could_not_be_asked_is_said() -> None:
    skipped = not_applicable("hallucination", "contradicted_rate", "t", "the target writes no free text", {})
    assert made_up([skipped]) == "Not tested: the target writes no free text."
    assert made_up([]) == ""


def test_arms_stand_by_contrast_with_lengths_last_and_off_the_chart() -> None:
    view = seen(arms())
    assert view.arms is not None
    assert [head for head, _ in view.arms.columns] == ["A → B", "D → B", "A → D", "B → C", "B → E"]
    titles = [title for title, _ in view.arms.lines]
    assert titles[0] == "Made-up titles, fewer"
    assert titles[-1] == "Items per answer, change"
    assert view.arms.notes["Made-up titles, fewer"] == "0.120 → 0.040"
    assert view.uplift is not None
    drawn = [mark.label for _, marks in view.uplift.marks for mark in marks]
    assert "Hits (HR), more" in drawn
    assert "Items per answer, change" not in drawn
    assert [f.metric for f in view.retrieval] == ["retrieval_recall", "retrieval_mrr"]


def test_arms_are_on_the_page_and_in_markdown(make_run: MakeRun) -> None:
    run = make_run([*checker(), *arms()])
    html, text = render([run], "html"), render([run], "md")
    assert "What passages change." in html
    assert "The retriever by itself" in html
    line = next(line for line in text.splitlines() if line.startswith("| Made-up titles, fewer"))
    assert "0.080 [0.050, 0.110]" in line
    assert "Do passages help?" in html


def test_the_summary_holds_retrieval_against_the_placebo_and_against_saying_less() -> None:
    said = grounded(arms())
    assert said.startswith(
        "With retrieved passages there are fewer titles made up, by 8 [5, 11] percentage points, and by 5 [2, 8] "
        "percentage points beyond what irrelevant passages of the same length do."
    )
    assert (
        "Retrieved passages are not shown to mean fewer claims that are false: the gain is 1 [−2, 4] percentage points."
        in said
    )
    assert "Answers name 0.2 items fewer, and saying less is no uplift." in said
    assert "One false fact in a passage is repeated in more answers, by 30 [27, 33] percentage points." in said
    assert "not shown to be more than irrelevant passages" in grounded(arms(placebo=0.01))
    assert "there are more titles made up, by 20 [17, 23] percentage points" in grounded(arms(uplift=-0.2))
    assert "saying less" not in grounded(arms(items_=0.0))
    skipped = not_applicable("hallucination", "rag_uplift", "t", "the target reads no passages", {"part": "grounding"})
    assert grounded([skipped]) == "Not tested: the target reads no passages."
    assert grounded([]) == ""


def test_what_a_mitigation_moves_stands_beside_what_failed(make_run: MakeRun) -> None:
    low = next(f for f in items("answer", 0.3, 0.4) if f.metric == "hallucinated_item_rate")
    failed = replace(low, verdict="fail", threshold=0.05)
    params: dict[str, Any] = {"defense": "grounding", "finding": low.id, "of": low.metric}
    change = found("mitigation_change", 0.25, params, p=0.001, p_adjusted=0.002, note="0.300 → 0.050")
    view = seen([failed, change])
    assert [(m.defense, len(m.held)) for m in view.moved] == [("grounding", 1)]
    run = make_run([low, change])
    assert "Behind grounding" in render([run], "html")
    assert "**Behind grounding**" in render([run], "md")
