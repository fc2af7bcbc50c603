"""The judge: quotes that must be there, both orders, and what is counted."""

from __future__ import annotations

import json

import pytest
from helpers import Scripted

from audit.claims import Claim, Facts
from audit.claims.verification.judge import JudgeRung
from audit.errors import TargetUnavailable
from audit.types import Answer, Catalog, Item, Request, User

FACTS = Facts(Catalog([Item("1", "Alien", attributes={"year": 1979})]), Request(User("u")))
CLAIM = Claim("year", "1979", "Alien", "1", 0, 4, "It is from 1979.")


def judge(reply, **fields):
    def answer(asked):
        text = reply(asked.instruction) if callable(reply) else reply
        return text if isinstance(text, Answer) else Answer(text=text)

    return JudgeRung(Scripted(answer, tasks=("answer",)), **fields)


def said(verdict, quote):
    return f"Sure:\n```json\n{json.dumps({'verdict': verdict, 'quote': quote})}\n```"


@pytest.mark.parametrize("verdict", ["supported", "contradicted"])
def test_a_verdict_with_its_quote_decides_and_is_asked_once_per_order(verdict):
    rung = judge(said(verdict, "Alien\n (1979)"))
    first, again = rung.rule([CLAIM, CLAIM], FACTS)
    assert first == again
    assert (first.verdict, first.rung, first.evidence, first.source) == (verdict, "judge", "Alien (1979)", "item:1")
    assert (rung.counts.calls, rung.counts.cached) == (2, 2)
    one, other = (asked.instruction for asked in rung.target.asked)
    assert '"supported" | "contradicted" | "not_enough_info"' in one
    assert '"not_enough_info" | "contradicted" | "supported"' in other
    assert "Alien was released in 1979." in one


@pytest.mark.parametrize("quote", ["made in 1979", ""])
def test_a_quote_that_is_not_in_the_evidence_voids_the_verdict(quote):
    rung = judge(said("supported", quote))
    assert rung.rule([CLAIM], FACTS) == [None]
    assert rung.counts.void == 2


def test_a_judge_that_takes_the_first_option_decides_nothing():
    def first(prompt):
        offered = prompt.rpartition('"verdict": "')[2].partition('"')[0]
        return said("supported" if offered == "supported" else "not_enough_info", "1979")

    rung = judge(first)
    [ruling] = rung.rule([CLAIM], FACTS)
    assert (ruling.verdict, ruling.rung, rung.counts.disagreed) == ("unverifiable", None, 1)


@pytest.mark.parametrize("text", ["yes", "{", '{"verdict": "true"}', "{" * 5000, '{"verdict": ["supported"]}'])
def test_replies_that_cannot_be_read_are_counted(text):
    rung = judge(text)
    assert rung.rule([CLAIM], FACTS) == [None]
    assert rung.counts.unparsable == 2


def test_refusals_are_counted_and_nothing_is_asked_without_evidence():
    rung = judge(Answer(outcome="refused"))
    assert rung.rule([CLAIM], FACTS) == [None]
    assert rung.counts.unanswered == 2
    assert rung.rule([Claim("year", "1979", "Else", None, 0, 4, "")], FACTS) == [None]
    assert rung.counts.calls == 2


def test_a_judge_that_is_away_is_asked_again_and_then_said():
    calls = []

    def away(_):
        calls.append(1)
        raise TargetUnavailable("away")

    with pytest.raises(TargetUnavailable):
        judge(away, wait_s=0.0).rule([CLAIM], FACTS)
    assert len(calls) == 3


def test_the_audited_model_as_its_own_judge_is_said():
    [ruling] = judge(said("supported", "1979"), own=True).rule([CLAIM], FACTS)
    assert "audited model itself" in ruling.note
