"""Citations by hand: ALCE's cases, numbers of nothing, and answers that cite nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import Scripted
from part_world import a_context, small_world

from audit.claims import Facts, Ruling
from audit.claims.verification.judge import JudgeRung
from audit.errors import ConfigError
from audit.modules.hallucination import rungs as ladder
from audit.modules.hallucination.citations import Citations, Counts, judge, sentences
from audit.target import Input, describe
from audit.types import Answer, Passage, Request, User

PASSAGES = tuple(Passage(f"p{n}", text) for n, text in enumerate(["alpha", "beta", "gamma alpha"], start=1))
ASKED = Request(User("u"), task="answer", passages=PASSAGES)
FACTS = Facts(small_world().catalog, ASKED)


class AllWords:
    """Supported where every word of the sentence is in the passage."""

    name = "nli"

    def rule(self, claims, facts):
        text = facts.passages["cited"].split()
        return [
            Ruling(c, "supported", "nli") if set(c.sentence.strip(".").split()) <= set(text) else None for c in claims
        ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpha [1].", Counts(1, 1, 1, 1, 0)),
        ("alpha [2].", Counts(1, 0, 1, 0, 0)),
        ("alpha.", Counts(1, 0, 0, 0, 0)),
        ("alpha beta [1][2].", Counts(1, 1, 2, 2, 0)),  # each is needed
        ("alpha [1][2].", Counts(1, 1, 2, 1, 0)),  # [2] adds nothing
        ("alpha [1, 3].", Counts(1, 1, 2, 2, 0)),  # each is enough
        ("alpha [1][9].", Counts(1, 1, 2, 1, 1)),
        ("alpha [9].", Counts(1, 0, 1, 0, 1)),
        ("alpha [0].", Counts(1, 0, 1, 0, 1)),
        ("alpha. [1] beta [2].", Counts(2, 2, 2, 2, 0)),  # a citation behind the stop belongs before it
        ("", Counts()),
    ],
)
def test_counts_are_those_of_the_paper(text, expected):
    assert judge(ASKED, sentences(text), FACTS, [AllWords()]) == expected


def test_without_a_decision_nothing_is_supported():
    assert judge(ASKED, sentences("alpha [1]."), FACTS, []).recalled == 0


def test_sentences_keep_their_place():
    text = "One is here [1]. Two is\nthere. [2] 3."
    for one in sentences(text):
        assert one.text.split()[0] in text[one.start : one.end]


def context(tmp_path, text, *, passages=PASSAGES, honours=frozenset({Input.PASSAGES})):
    target = Scripted(
        lambda _: text if isinstance(text, Answer) else Answer(text=text), tasks=("rank", "answer"), honours=honours
    )
    made = a_context(target, tmp_path, users=10)
    cases = [replace(c, request=replace(c.request, passages=passages)) for c in made.cases]
    return replace(made, cases=cases)


def by_metric(output):
    return {f.metric: f for f in output.findings}


def test_a_planted_rate_is_found(tmp_path):
    world = context(tmp_path, "alpha [1]. beta [1]. gamma [3]. beta [7].")
    found = by_metric(Citations().conclude(world, [AllWords()], examples=3))
    assert found["citation_recall"].estimate == 0.5
    assert found["citation_precision"].estimate == 0.5
    assert found["fabricated_citation_rate"].estimate == 0.25
    assert found["fabricated_citation_rate"].n == 10
    assert len(found["citation_recall"].evidence) == 3


def test_the_clean_twin(tmp_path):
    found = by_metric(Citations().conclude(context(tmp_path, "alpha [1]. beta [2]."), [AllWords()], examples=3))
    assert [found[m].estimate for m in ("citation_recall", "citation_precision", "fabricated_citation_rate")] == [
        1,
        1,
        0,
    ]
    assert found["citation_recall"].ci[0] < 1.0


def test_what_a_judge_was_asked_is_told(tmp_path):
    reply = '{"verdict": "supported", "quote": "alpha"}'
    rung = JudgeRung(Scripted(lambda _: Answer(text=reply), tasks=("answer",)), own=True)
    found = by_metric(Citations().conclude(context(tmp_path, "alpha [1]. beta [2]."), [rung], examples=0))
    assert found["citation_recall"].estimate == 0.5  # the quote is not in the second passage
    assert "audited model itself (4 calls, 36 cached, 0 unanswered, 0 unparsable, 20 void" in (
        found["citation_recall"].note
    )


def test_without_a_rung_only_fabricated_numbers_are_found(tmp_path):
    found = by_metric(Citations().run(context(tmp_path, "alpha [1]. beta [7]."), examples=1))
    assert found["fabricated_citation_rate"].estimate == 0.5
    assert found["citation_recall"].estimate is None
    assert "needs rungs" in found["citation_recall"].reason


def test_refusals_have_nothing_to_judge_and_are_said(tmp_path):
    found = by_metric(Citations().run(context(tmp_path, Answer(outcome="refused")), examples=1))
    assert "10 of them without a sentence" in found["fabricated_citation_rate"].reason


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"passages": ()}, "no request holds passages"), ({"honours": frozenset()}, "reads no passages")],
)
def test_what_is_lacking_is_said(tmp_path, fields, said):
    assert said in (Citations().lacking(context(tmp_path, "", **fields)) or "")


def test_a_judge_that_is_the_audited_model_is_refused_unless_allowed(monkeypatch):
    target = Scripted(tasks=("answer",))
    monkeypatch.setattr("audit.targets.build.build", lambda *_: target)
    block = {"kind": "openai", "model": "scripted"}
    with pytest.raises(ConfigError, match="allow_self: true"):
        ladder.build({"judge": block}, small_world(), describe(target))
    [rung] = ladder.build({"judge": {**block, "allow_self": True}}, small_world(), describe(target))
    assert rung.own
    other = replace(describe(target), name="other", fingerprint="other")
    [rung] = ladder.build({"judge": block}, small_world(), other)
    assert not rung.own


@pytest.mark.parametrize(
    ("rungs", "said"), [({"nil": "x"}, "did you mean 'nli'"), ({"judge": "gpt"}, "target block"), ("nli", "a mapping")]
)
def test_bad_rungs_are_named(rungs, said):
    with pytest.raises(ValueError, match=said):
        Citations(rungs=rungs)
