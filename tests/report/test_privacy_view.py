"""Privacy in a report: the promise first and apart from what is measured; what was not found is never called safe."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from private_world import (
    CARD,
    bounds,
    canaries,
    everything,
    found,
    histories,
    inferred,
    leaks,
    membership,
    no_card,
    promise,
    prompted,
    void,
)

from audit.findings import Finding, Roc, not_applicable
from audit.report import render
from audit.report.plots import forest
from audit.report.privacy import PrivacyView, privacy_view
from audit.report.privacy_plots import epsilon_bars, roc_panels
from audit.report.privacy_remarks import given_away, promised
from audit.run import Run

MakeRun = Callable[..., Run]
BIASED = ("the split is biased: the scores of a model without the training tell members from others",)


def seen(findings: list[Finding]) -> PrivacyView:
    view = privacy_view(findings)
    assert view is not None
    return view


def test_nothing_measured_is_no_view() -> None:
    assert privacy_view([]) is None
    assert privacy_view([not_applicable("privacy", "mia_auc", "t", "why", {})]) is None
    assert privacy_view([Finding("quality", "auc", "t", estimate=0.5, ci=(0.4, 0.6))]) is None


# The promise --------------------------------------------------------------------------------------------------------


def test_the_card_names_the_unit_in_words_and_all_that_the_promise_rests_on() -> None:
    pledge = seen([promise()]).pledge
    assert pledge is not None
    assert pledge.answer.startswith("ε = 8 for one user with all their rows; reasonable")
    terms = dict(pledge.terms)
    assert "one user with all their rows, at most 16 rows" in terms["Hides"]
    assert "δ = 0.0001" in terms["Promise"]
    for part in ("σ = 0.6", "q = 0.034", "147 steps", "opacus 1.6.0 prv", "poisson"):
        assert part in terms["Training"]
    assert "the base model had read" in terms["Not covered"]
    assert "rdp 9" in terms["ε of the steps run"]


def test_a_promise_for_rows_is_never_shown_as_one_for_people() -> None:
    pledge = seen([promise(replace(CARD, unit="example"))]).pledge
    assert pledge is not None
    assert "a single row, not a person" in pledge.answer
    assert "one user with all their rows" not in pledge.answer
    assert seen([promise(replace(CARD, unit="example"))]).claimed is None


@pytest.mark.parametrize(("epsilon", "said"), [(0.5, "strong"), (1.0, "strong"), (3.0, "reasonable"), (50.0, "weak")])
def test_epsilon_is_read_as_in_practice(epsilon: float, said: str) -> None:
    pledge = seen([promise(replace(CARD, epsilon=epsilon))]).pledge
    assert pledge is not None
    assert said in pledge.answer


def test_a_void_card_and_no_card_are_plainly_no_guarantee() -> None:
    gone = seen([void()]).pledge
    assert gone is not None
    assert (gone.state, gone.verdict) == ("void", "fail")
    assert gone.answer == "No guarantee, though there is a card: it is void, for trained without noise."
    assert dict(gone.terms)["Hides"].startswith("one user")
    never = seen([no_card()]).pledge
    assert never is not None
    assert (never.state, never.verdict, never.terms) == ("none", "not_applicable", ())
    assert never.answer.startswith("No guarantee: no guarantee.json stands")


def test_a_bound_above_the_promise_breaks_it_whatever_the_policy_says() -> None:
    passing = replace(promise(), verdict="pass")
    view = seen([passing, *bounds(9.1, 8.4)])
    assert view.pledge is not None
    assert view.pledge.verdict == "fail"
    assert view.pledge.answer.startswith("Broken: ε = 8 is promised")
    assert "at least 9.1" in view.pledge.answer
    assert promised([passing, *bounds(9.1)]).startswith("Broken: ε = 8")
    biased = seen([passing, *bounds(9.1, 8.4, unmet=BIASED)]).pledge
    assert biased is not None
    assert not biased.broken, "on a biased split nothing is proven"


def test_bounds_stand_against_the_promise_with_the_most_that_could_be_proven() -> None:
    view = seen([promise(), *bounds(0.3, 0.0)])
    assert view.claimed == 8.0
    assert [(one.label, one.ceiling, one.over) for one in view.proven] == [
        ("One threshold", 4.03, False),
        ("Guesses about one training", 4.89, False),
    ]
    drawn = str(epsilon_bars(view.proven, view.claimed))
    assert "One threshold: ≥ 0.30 of at most 4.03" in drawn
    assert "nothing proven" in drawn
    assert 'class="limit"' in drawn
    assert 'class="limit"' not in str(epsilon_bars(view.proven, None))


def test_below_the_promise_no_violation_is_seen_and_nothing_more() -> None:
    said = promised([promise(), *bounds(0.3, 0.0)])
    assert said.startswith("ε = 8 for one user")
    assert "at least 0.3, of at most 4.89" in said
    assert "does not show that the promise holds" in said
    assert "Even a perfect attack on so many people could not contradict it." in said
    assert "could not contradict" not in promised([promise(replace(CARD, epsilon=2.0)), *bounds(0.3, claimed=2.0)])
    assert promised(membership()) == ""


def test_curves_of_attacks_show_what_is_found_at_few_accused(make_run: MakeRun) -> None:
    fpr, tpr = (0.0, 0.001, 0.01, 0.1, 1.0), (0.02, 0.05, 0.2, 0.5, 1.0)
    roc = Roc(fpr, tpr, tuple(x / 2 for x in tpr), tuple(min(1.0, 2 * x) for x in tpr), 1000, 1000)
    few = replace(roc, inside=40, outside=40)
    areas = [f for f in membership() if f.metric == "mia_auc" and f.params["level"] == "user"]
    findings = [replace(areas[0], roc=roc), replace(areas[1], roc=few), areas[2]]
    curves = seen(findings).curves
    assert [one.label for one in curves] == ["loss", "Min-k%, least likely words"], "no curve, no panel"
    drawn = str(roc_panels(curves))
    # 40 people cannot show what happens at 1 % of them.
    assert "loss: AUC 0.530, 20% at 1%, 5% at 0.1%; Min-k%, least likely words: AUC 0.520" in drawn
    assert drawn.count('class="marked"') == 2
    assert Finding.from_dict(findings[0].to_dict()) == findings[0]
    assert "How many are found for sure?" in render([make_run(findings)], "html")
    assert "How many are found for sure?" not in render([make_run(areas, name="bare")], "html")


# Members ------------------------------------------------------------------------------------------------------------


def test_attacks_stand_behind_what_the_split_gives_away_without_the_target() -> None:
    view = seen(list(reversed(membership())))
    assert view.members is not None
    sections = {name: [mark.label for mark in marks] for name, marks in view.members.marks}
    assert list(sections) == ["Without its training", "Users, all rows together", "Single rows"]
    assert sections["Without its training"] == ["the base model alone", "items and words alone"]
    assert sections["Users, all rows together"][0] == "loss"
    assert view.members.band is None, "there is no band in which all is well"
    assert view.rates is not None
    assert [head for head, _ in view.rates.columns] == ["Found at 1% accused", "Advantage"]
    assert view.unresolvable == (
        "Found at 0.1% accused: not resolvable: with 472 others a false positive rate below 0.2% cannot be seen; "
        "1,000 others are needed",
    )


def test_the_summary_concludes_no_more_than_the_tests_allow() -> None:
    quiet = given_away(membership())
    assert "not shown to be told from others by 3 attacks" in quiet
    assert "an AUC below 0.55 could hide" in quiet
    loud = given_away(membership(0.93, 0.96, p=0.0001))
    assert "Who was trained on can be told from others: AUC 0.960" in loud
    assert "2% [1%, 3%] of them are found while 1% of the others are accused" in loud
    biased = given_away(membership(0.93, 0.96, BIASED, p=0.0001))
    assert "is not decided: the split is biased" in biased
    assert "can be told" not in biased


@pytest.mark.parametrize("area", [0.52, 0.97])
def test_guessing_has_a_line_wherever_the_scale_has_its_ticks(area: float) -> None:
    chart = seen(membership(area, area)).members
    assert chart is not None
    assert str(forest(chart)).count('class="zero"') == 1


@pytest.mark.parametrize(
    ("verdict", "lead"),
    [
        ("fail", "Yes, more than the policy allows."),
        ("inconclusive", "Not decided at this sample size."),
        ("pass", "Not by what was tried, as far as the policy asks; other attacks may find more."),
        (None, "Who was trained on"),
    ],
)
def test_the_first_word_is_the_policys(verdict: Any, lead: str) -> None:
    assert given_away([replace(f, verdict=verdict) for f in membership()[:5]]).startswith(lead)


def test_a_promise_is_no_answer_to_whether_it_gives_people_away() -> None:
    assert given_away([replace(promise(), verdict="pass")]) == ""
    skipped = not_applicable("privacy", "mia_auc", "t", "nobody says who was trained on", {"part": "membership"})
    assert given_away([skipped]) == "Not tested: nobody says who was trained on."


# Memory and answers -------------------------------------------------------------------------------------------------


def test_canaries_stand_by_repeats_with_their_controls_first() -> None:
    view = seen(list(reversed(canaries())))
    assert view.canaries is not None
    ((_, marks),) = view.canaries.marks
    assert [mark.label for mark in marks] == ["never planted", "planted once", "planted 10 times"]
    assert {mark.beside for mark in marks} == {1.38}
    assert view.canary_table is not None
    assert [title for title, _ in view.canary_table.lines] == ["Planted once", "Planted 10 times"]
    assert "It remembers secrets that were planted 10 times: 4.900" in given_away(canaries())
    assert "not shown to be remembered" in given_away(canaries()[:2])


def test_histories_of_members_and_others_stand_side_by_side() -> None:
    view = seen(histories())
    assert view.extraction is not None
    assert [head for head, _ in view.extraction.columns] == ["Trained on", "Others", "Beyond others"]
    titles = [title for title, _ in view.extraction.lines]
    assert titles == ["Next items in their order, 5 given (lists)", "Next items, 5 given (lists)"]
    assert "not shown to come out more than others do" in given_away(histories())
    assert "come out of it more than others do, by 30 [26, 34] percentage points" in given_away(histories(0.3))
    alone = [found("extraction_rate", 0.2, {"group": "everyone", "match": "items", "task": "rank"}, floor=0.19)]
    assert "20% [16%, 24%] of the rest of a history comes out; guessing gives 19%" in given_away(alone)


def test_leaks_are_ordered_by_what_is_worst_and_said_in_words() -> None:
    view = seen(list(reversed(leaks())))
    assert [f.metric for f in view.leaks][:2] == ["cross_user_rate", "pii_rate"]
    said = given_away(leaks())
    assert "None of 20 users was told what another user had said." in said
    assert "Up to 2% [−2%, 6%] of answers hold personal data." in said.replace("[-", "[−")
    assert "Up to 40%" in said, "a family of attacks alone is not the whole"
    assert "20% [0%, 17%] of users were told what another user had said" in given_away(leaks(crossed=0.2))


def test_lists_are_held_against_what_histories_tell() -> None:
    view = seen(inferred())
    assert view.inference is not None
    ((_, (mark,)),) = view.inference.marks
    assert (mark.label, mark.beside) == ("gender", 0.7)
    assert "give away more" not in given_away(inferred())
    more = [replace(f, p=0.001) for f in inferred(0.1)]
    assert "Its lists give away more of gender than histories do: AUC 0.800 against 0.700." in given_away(more)


def test_prompts_have_a_chart_of_their_own_and_no_matrix(make_run: MakeRun) -> None:
    view = seen(prompted())
    assert view.prompted is not None
    (_, whole), (section, placed) = view.prompted.marks
    assert [mark.label for mark in whole][:2] == ["inquiry, 5 shots", "hallucination, 5 shots"]
    assert whole[0].beside == 0.5, "what people taken out of their prompts give"
    assert section == "By place in the prompt"
    assert placed[0].label == "inquiry, 5 shots, first"
    assert view.prompted_rates is not None
    assert len(view.prompted_rates.lines) == 4
    assert view.members is None
    assert "Attacks: effect above the noise floor" not in render([make_run(prompted())], "html")
    assert "Questions alone tell who stands in its prompt" in given_away(prompted(0.9, 0.001))


# Pages --------------------------------------------------------------------------------------------------------------


def test_the_page_begins_with_the_promise(make_run: MakeRun) -> None:
    html = render([make_run(everything())], "html")
    order = [
        "What does its training promise?", "What is promised, and what attacks prove.", "told who was trained on?",
        "who stands in its prompt?", "remember planted secrets?", "How much of the rest of a history",
        "What do its lists", "What answers hold that they should not", "People who asked to be forgotten.",
    ]  # fmt: skip
    places = [html.index(part) for part in order]
    assert places == sorted(places)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)
    assert "url(" not in html
    assert "not resolvable" in html
    assert "Does it give people away?" in html


def test_markdown_holds_the_same(make_run: MakeRun) -> None:
    text = render([make_run(everything())], "md")
    assert "What does its training promise?** ε = 8 for one user with all their rows" in text
    assert "- Not covered: what the base model had read before" in text
    assert "| One threshold | ≥ 0.30 | 4.03 | 8 |" in text
    assert "no violation is seen, which does not show that it holds" in text
    assert "| loss | 2% [1%, 3%] | 0.050 [−0.030, 0.130] |" in text
    assert "not resolvable" in text


def test_a_foreign_word_is_escaped_everywhere(make_run: MakeRun) -> None:
    evil = "<script>alert(1)</script>|\x1b[31m"
    shown = [replace(f, params={**f.params, "score": evil, "attribute": evil}, note=evil) for f in everything()]
    shown += [replace(f, params={**f.params, "score": evil}, unmet=(evil,)) for f in membership()[2:3]]
    broken = [replace(void(flaws=evil), facts={"flaws": evil, "hides": evil}, note=evil)]
    for findings in (shown, broken):
        run = make_run(findings, name=str(len(findings)))
        for kind in ("html", "md"):
            page = render([run], kind)
            assert "<script" not in page
            assert "\x1b" not in page


def test_what_a_mitigation_moves_stands_beside_what_failed(make_run: MakeRun) -> None:
    area = next(f for f in membership(0.9) if f.metric == "mia_auc")
    failed = replace(area, verdict="fail", threshold=0.6)
    change = found(
        "mitigation_change", -0.3, {"defense": "dp", "finding": area.id, "of": "mia_auc"}, p=0.001, p_adjusted=0.002,
        note="0.900 → 0.600",
    )  # fmt: skip
    assert [(m.defense, len(m.held)) for m in seen([failed, change]).moved] == [("dp", 1)]
    assert "Behind dp" in render([make_run([area, change])], "html")
