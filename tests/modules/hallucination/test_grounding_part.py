"""What retrieval changes, on targets planted to read their passages, to ignore them, to shorten, and to believe all."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted
from part_world import a_context, small_world

from audit.findings import Finding
from audit.knowledge import KnowledgeBase, item_document
from audit.knowledge.falsehoods import falsifiable, falsified
from audit.modules.base import Output
from audit.modules.hallucination.claim_outcomes import ClaimReader
from audit.modules.hallucination.grounding import Grounding
from audit.modules.hallucination.grounding_arms import arms_of
from audit.modules.hallucination.grounding_findings import Doubts
from audit.target import Input
from audit.types import Answer, Catalog, Item, Request

ROW = re.compile(r"\[\d+\] (?P<title>[^\n(]+) \((?P<year>\d{4})\)\. Genres: (?P<genre>\w+)")
WORDS = ("Purple", "Wandering", "Seventh", "Glass", "Paper", "Velvet", "Hollow", "Burning")
NOUNS = ("Zeppelin", "Walrus", "Accordion", "Cathedral", "Lagoon", "Turnip", "Sextant", "Bagpipe")


def invented(request: Request, n: int) -> str:
    at = int(request.user.id) * 5 + n
    return f"{WORDS[at % 8]} {NOUNS[(at // 8 + n) % 8]} of {WORDS[(at + 3) % 8]} {NOUNS[(at + n + 5) % 8]}"


def without(request: Request) -> list[str]:
    """Two real films with a false year, and two that do not exist."""
    catalog = small_world().catalog
    had = {event.item.id for event in request.user.history}
    real = [i for i in catalog.items_in_order if i.id not in had][int(request.user.id) % 40 :][:2]
    lines = [f"{item.title[:-7]}, released in {int(item.attributes['year']) + 9}" for item in real]
    return [lines[0], invented(request, 0), lines[1], invented(request, 1)]


def seen(request: Request) -> str:
    return "\n".join([*(p.text for p in request.passages), request.instruction, request.user.note])


def copying(request: Request) -> Answer:
    """Names what the passages are about, with their year."""
    rows = list(ROW.finditer(seen(request)))[:4]
    lines = [f"{row['title']}, released in {row['year']}" for row in rows] or without(request)
    return Answer(text="\n".join(f"{n}. {line}" for n, line in enumerate(lines, 1)))


def deaf(request: Request) -> Answer:
    return Answer(text="\n".join(f"{n}. {line}" for n, line in enumerate(without(request), 1)))


def brief(request: Request) -> Answer:
    """Says the same, and only the first line of it where the prompt is long."""
    lines = without(request)[: 1 if len(seen(request)) > 200 else 4]
    return Answer(text="\n".join(f"{n}. {line}" for n, line in enumerate(lines, 1)))


def target(answer: Any, *reads: Input) -> Scripted:
    return Scripted(
        answer,
        tasks=("rank", "answer"),
        honours=frozenset({Input.HISTORY, *(reads or (Input.PASSAGES, Input.INSTRUCTION))}),
        instructions={"answer": "Recommend films."},
    )


def run(answer: Any, folder: Path, *reads: Input, users: int = 30, **options: Any) -> Output:
    part = Grounding(**{"queries": 0, "checked": False, **options})
    return part.run(a_context(target(answer, *reads), folder, users=users), examples=3)


def uplift(output: Output, of: str, before: str = "none", after: str = "retrieved") -> Finding:
    (found,) = [
        f
        for f in output.findings
        if f.metric == "rag_uplift" and (f.params["of"], f.params["from"], f.params["to"]) == (of, before, after)
    ]
    return found


def test_a_target_that_copies_its_passages_gains_exactly_what_it_invented(tmp_path: Path) -> None:
    output = run(copying, tmp_path)
    titles = uplift(output, "hallucinated_item_rate")
    assert titles.estimate == pytest.approx(0.5)
    assert titles.ci is not None
    assert titles.ci[0] > 0.3
    assert titles.p_adjusted is not None
    assert titles.p_adjusted < 0.001
    assert titles.unmet == ()
    assert "items per answer 4.00 → 4.00" in titles.note
    assert uplift(output, "contradicted_rate").estimate == pytest.approx(1.0)
    assert uplift(output, "items_per_answer").estimate == 0.0
    # Irrelevant text of the same length does nothing.
    assert uplift(output, "hallucinated_item_rate", "none", "placebo").estimate == 0.0
    assert uplift(output, "hallucinated_item_rate", "placebo", "retrieved").estimate == pytest.approx(0.5)
    # The right passages hold the next item, and that is said.
    oracle = uplift(output, "hr", "retrieved", "oracle")
    assert oracle.estimate is not None
    assert oracle.estimate > 0.5
    assert "no merit" in oracle.note


def test_a_poisoned_passage_is_believed_by_who_copies(tmp_path: Path) -> None:
    output = run(copying, tmp_path)
    false = uplift(output, "false_fact_rate", "retrieved", "poisoned")
    assert false.estimate == pytest.approx(-1.0)
    assert uplift(output, "true_fact_rate", "retrieved", "poisoned").estimate == pytest.approx(-1.0)
    assert "with a false fact in a passage 30 answers state the false fact and 0 the true one" in false.note
    assert "faithful is not true" in false.note
    assert len(false.evidence) == 3
    shown = next(e for e in output.evidence if e.id == false.evidence[0])
    assert shown.claims
    assert "in the catalogue" in shown.note
    assert shown.claims[0].verdict == "contradicted"


def test_a_target_that_ignores_its_passages_gains_nothing(tmp_path: Path) -> None:
    output = run(deaf, tmp_path)
    for finding in output.findings:
        if finding.metric == "rag_uplift" and finding.estimate is not None:
            assert finding.estimate == 0.0
            assert finding.p == 1.0
            assert finding.ci is not None
            assert finding.ci[0] <= 0.0 <= finding.ci[1]
    evidence = uplift(output, "hallucinated_item_rate").evidence
    assert len(evidence) == 3


def test_shorter_answers_are_no_uplift_that_is_decided_on(tmp_path: Path) -> None:
    output = run(brief, tmp_path)
    titles = uplift(output, "hallucinated_item_rate")
    assert titles.estimate == pytest.approx(0.5)
    assert titles.unmet == ("answers hold 1.0 items instead of 4.0, so there is less to be wrong",)
    assert uplift(output, "items_per_answer").estimate == pytest.approx(-3.0)
    # The placebo is as long, so nothing is left beyond it.
    assert uplift(output, "hallucinated_item_rate", "placebo", "retrieved").estimate == 0.0


@pytest.mark.parametrize("channel", [Input.INSTRUCTION, Input.NOTE])
def test_other_channels_reach_the_target_too(channel: Input, tmp_path: Path) -> None:
    output = run(copying, tmp_path, channel, arms=("retrieved",))
    assert uplift(output, "hallucinated_item_rate").estimate == pytest.approx(0.5)


def test_a_checker_that_was_not_audited_well_leaves_it_open(tmp_path: Path) -> None:
    context = a_context(target(copying), tmp_path, users=12)
    part = Grounding(queries=0, arms=("retrieved",))
    reader = ClaimReader.build(context)
    output = part.conclude(context, reader, Doubts(("titles are told badly",), ("claims are",)), examples=0)
    assert uplift(output, "hallucinated_item_rate").unmet == ("titles are told badly",)
    assert uplift(output, "contradicted_rate").unmet == ("claims are",)
    assert uplift(output, "items_per_answer").unmet == ()
    assert part._doubts(context) == Doubts()  # in this small world it meets its gates


def test_values_are_one_per_answer_and_average_to_the_estimate(tmp_path: Path) -> None:
    output = run(copying, tmp_path)
    by_id = {f.id: f for f in output.findings}
    assert [by_id[name].params["of"] for name in output.values] == [
        "hallucinated_item_rate", "hallucinated_answer_rate", "contradicted_rate", "unverifiable_rate",
        "false_fact_rate",
    ]  # fmt: skip
    for name, values in output.values.items():
        assert sum(values.values()) / len(values) == pytest.approx(by_id[name].estimate)


def test_refusals_stay_in_the_denominators(tmp_path: Path) -> None:
    def shy(request: Request) -> Answer:
        if request.passages:
            return Answer(outcome="refused", text="I cannot do that.", detail="declined")
        return deaf(request)

    output = run(shy, tmp_path, arms=("retrieved",))
    assert uplift(output, "respond_rate").estimate == pytest.approx(-1.0)
    titles = uplift(output, "hallucinated_item_rate")
    assert titles.verdict == "not_applicable"
    assert titles.reason == "with retrieved passages no answer holds anything to count"
    answers = uplift(output, "hallucinated_answer_rate")
    assert answers.estimate == pytest.approx(1.0)
    assert "there is less to be wrong" in answers.unmet[0]


def test_the_search_is_measured_apart(tmp_path: Path) -> None:
    output = run(deaf, tmp_path, users=12, queries=20, arms=("retrieved",))
    found = {(f.metric, f.params["queries"]): f for f in output.findings if f.metric.startswith("retrieval")}
    assert found["retrieval_recall", "title"].estimate == 1.0
    assert found["retrieval_mrr", "title"].estimate == 1.0
    assert found["retrieval_recall", "facts"].n == 20
    assert found["retrieval_recall", "requests"].n == 12


def test_arms_are_what_they_say(tmp_path: Path) -> None:
    context = a_context(target(deaf), tmp_path, users=12)
    part = Grounding(queries=0)
    cases = part._cases(context)
    base = KnowledgeBase.build(context.dataset.catalog, dense=False)
    arms = arms_of(context, cases, base, k=5, wording="Cite.", names=part.arms)  # type: ignore[arg-type]
    assert [ask.request.digest for ask in part.plan(context)] == [ask.request.digest for ask in part.plan(context)]
    assert len(part.plan(context)) == 5 * len(cases)
    for at, case in enumerate(cases):
        given = {name: arm.documents[at] for name, arm in arms.items() if name != "none"}
        assert len({len(documents) for documents in given.values()}) == 1
        had = {event.item.id for event in case.request.user.history}
        assert not had & {document.item_id for document in given["retrieved"]}
        assert case.relevant <= {document.item_id for document in given["oracle"]}
        for one, other in zip(given["retrieved"], given["placebo"], strict=True):
            assert len(one.text) - 15 <= len(other.text) <= len(one.text)
        changed = [a.text != b.text for a, b in zip(given["retrieved"], given["poisoned"], strict=True)]
        assert changed == [True, False, False, False, False]
        falsehood = arms["poisoned"].falsehoods[at]
        assert falsehood is not None
        assert str(falsehood.false) in given["poisoned"][0].text
        assert str(falsehood.true) not in given["poisoned"][0].text
        assert given["poisoned"][0].id == given["retrieved"][0].id


def test_falsehoods_are_false_and_plausible() -> None:
    import numpy as np

    catalog = small_world().catalog
    item = catalog.items_in_order[0]
    assert falsifiable(item) == ["year", "genres"]
    for seed in range(20):
        year = falsified(item, "year", catalog, np.random.default_rng(seed))
        assert year is not None
        assert 6 <= abs(int(year.false) - int(year.true)) <= 25  # type: ignore[arg-type]
        assert str(year.false) in item_document(year.item).text
        assert str(year.true) not in item_document(year.item).text
        genre = falsified(item, "genres", catalog, np.random.default_rng(seed))
        assert genre is not None
        assert not set(genre.false) & set(genre.true)  # type: ignore[arg-type]
        assert genre.item.title == item.title
    lone = Catalog([Item("1", "Alone", attributes={"genres": ("Drama",), "minutes": 90, "score": 0.0})])
    assert falsified(lone["1"], "genres", lone, np.random.default_rng(0)) is None
    assert falsified(lone["1"], "genres", lone, np.random.default_rng(0), to=("Drama",)) is None
    for name in ("minutes", "score"):
        made = falsified(lone["1"], name, lone, np.random.default_rng(0))
        assert made is not None
        assert made.false != made.true


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    context = a_context(target(deaf, Input.HISTORY), tmp_path, users=12)
    assert "documents cannot reach it" in str(Grounding().lacking(context))
    scorer = replace(target(deaf).info, tasks=("score",))
    mute = Scripted(deaf, tasks=scorer.tasks, honours=scorer.honours)
    assert "writes no free text" in str(Grounding().lacking(a_context(mute, tmp_path, users=12, task="score")))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"answers": 0}, "answers: 0 must be a whole number of at least 1"),
        ({"k": True}, "k: True must be"),
        ({"arms": "retrieved"}, "arms: 'retrieved' must be a list"),
        ({"arms": ["retreived"]}, "arms: 'retreived' is none"),
        ({"arms": ["oracle"]}, "'retrieved' must be among them"),
        ({"checked": 1}, "checked: 1 must be true or false"),
        ({"wording": 3}, "wording: 3 must be a text"),
        ({"knowledge": {"documnets": []}}, "knowledge.documnets"),
    ],
)
def test_options_that_cannot_be_used_are_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Grounding(**options)
