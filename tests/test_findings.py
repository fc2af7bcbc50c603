"""Findings keep their identity, refuse numbers that are none, and come back from JSON as they were."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from audit.edits import HistoryDrop, TextEdit
from audit.findings import ClaimMark, Evidence, Finding, Verdict, not_applicable, overall

FULL = Finding(
    module="robustness",
    metric="asr",
    title="ASR",
    params={"attack": "typos", "defense": None, "k": 10, "strict": True, "share": 0.5},
    estimate=0.3,
    ci=(0.2, 0.4),
    ci_method="BCa",
    level=0.9,
    n=100,
    unit="user",
    floor=0.1,
    effect=0.2,
    effect_ci=(0.1, 0.3),
    test="paired permutation",
    p=0.01,
    p_adjusted=0.02,
    mde=0.1,
    direction="higher_is_worse",
    threshold=0.2,
    verdict="inconclusive",
    n_to_settle=400,
    severity="high",
    controls=("owasp-llm:2026:LLM05",),
    reason="because",
    note="é 🎬",
    evidence=("abc",),
)


@pytest.mark.parametrize("found", [FULL, Finding("m", "x", "X"), not_applicable("m", "x", "X", "why", {"attack": "a"})])
def test_a_finding_survives_json(found: Finding) -> None:
    assert Finding.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found


def test_json_holds_what_a_reader_relies_on() -> None:
    data = FULL.to_dict()
    assert {
        "module", "metric", "params", "estimate", "ci", "level", "n", "unit", "floor", "p", "p_adjusted", "threshold",
        "mde", "verdict", "severity", "controls", "evidence",
    } <= set(data)  # fmt: skip
    assert data["id"] == FULL.id
    assert FULL.name == "robustness.asr"


def test_identity_is_what_was_measured_and_not_what_came_out() -> None:
    assert replace(FULL, estimate=0.9, n=5, verdict="fail", title="other").id == FULL.id
    assert replace(FULL, params=dict(reversed(FULL.params.items()))).id == FULL.id
    for other in (replace(FULL, module="m"), replace(FULL, metric="m"), replace(FULL, params={"attack": "typos"})):
        assert other.id != FULL.id


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["estimate", "floor", "effect", "p", "p_adjusted", "mde"])
def test_a_number_that_is_none_is_refused(field: str, wrong: float) -> None:
    with pytest.raises(ValueError, match=r"robustness\.asr: every number must be finite"):
        replace(FULL, **{field: wrong})
    with pytest.raises(ValueError, match="finite"):
        replace(FULL, ci=(0.1, wrong))


def test_what_could_not_run_has_a_reason_and_never_passes() -> None:
    found = not_applicable("privacy", "mia_auc", "MIA", "no logprobs", {"k": 3})
    assert (found.verdict, found.reason, found.params, found.estimate) == (
        "not_applicable",
        "no logprobs",
        {"k": 3},
        None,
    )
    assert overall([found]) == "not_applicable"


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        (["pass", "fail", "inconclusive"], "fail"),
        (["pass", "inconclusive", "not_applicable"], "inconclusive"),
        (["pass", None, "not_applicable"], "pass"),
        ([None], "not_applicable"),
        ([], "not_applicable"),
    ],
)
def test_a_run_is_as_good_as_its_worst_finding(verdicts: list[Verdict | None], whole: str) -> None:
    assert overall([replace(FULL, verdict=v) for v in verdicts]) == whole


def test_evidence_is_addressed_by_its_content() -> None:
    shown = Evidence("u1", "T", "a", "b", 1, (HistoryDrop(0), TextEdit("note", 0, 0, "\ud83d")), "n")
    back = Evidence.from_dict(json.loads(json.dumps(shown.to_dict())))
    assert back == shown
    assert back.id == shown.id
    assert len(shown.id) == 16
    assert replace(shown, note="m").id != shown.id
    assert Evidence.from_dict({"case": "u", "title": "t"}) == Evidence("u", "t")


MARK = ClaimMark(4, 8, "contradicted", "year", "1994", "Heat", "structured", "i2", "Heat (1995)", "the year is 1995")


def test_evidence_with_claims_survives_json_and_without_any_is_what_it_was() -> None:
    bare = Evidence("u1", "T", "a")
    assert "claims" not in bare.to_dict(), "evidence stored by earlier versions keeps its id"
    shown = replace(bare, claims=(MARK, ClaimMark(0, 3, "unverifiable", "exists", "Heat")))
    assert Evidence.from_dict(json.loads(json.dumps(shown.to_dict()))) == shown
    assert shown.id != bare.id
    assert shown.to_dict()["claims"][1] == {
        "start": 0, "end": 3, "verdict": "unverifiable", "predicate": "exists", "object": "Heat",
    }  # fmt: skip


def test_a_mark_of_a_later_version_is_read_for_what_is_known_of_it() -> None:
    assert ClaimMark.from_dict({**MARK.to_dict(), "colour": "red"}) == MARK


@pytest.mark.parametrize(("field", "value"), [("verdict", "false"), ("start", -1), ("end", 3)])
def test_a_mark_that_is_none_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        ClaimMark.from_dict({**MARK.to_dict(), field: value})
