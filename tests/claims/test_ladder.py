"""The ladder: order, notes, and what is said where nothing decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.claims import Claim, Facts, Ruling
from audit.claims.verification.ladder import RETRIEVAL_MISS, Ladder
from audit.claims.verification.structured import StructuredRung
from audit.types import Catalog, Item, Request, User

FACTS = Facts(Catalog([Item("1", "Alien", attributes={"year": 1979})]), Request(User("u")))
YEAR = Claim("year", "1979", "Alien", "1", 0, 4, "It is from 1979.")
AWARD = Claim("award", "an Oscar", "Alien", "1", 5, 9, "It won an Oscar.")


class Rung:
    """Says the same of every claim, and remembers what it was asked."""

    def __init__(self, name, verdict=None, rung=None, note=""):
        self.name, self.verdict, self.rung, self.note = name, verdict, rung, note
        self.asked = []

    def rule(self, claims, facts):
        self.asked.append(list(claims))
        return [None if self.verdict is None else Ruling(c, self.verdict, self.rung, note=self.note) for c in claims]


def test_the_first_that_decides_is_believed_and_later_rungs_are_asked_only_for_the_rest():
    nli = Rung("nli", "contradicted", "nli")
    year, award = Ladder([StructuredRung(), nli]).rule([YEAR, AWARD], FACTS)
    assert (year.verdict, year.rung) == ("supported", "structured")
    assert (award.verdict, award.rung) == ("contradicted", "nli")
    assert nli.asked == [[AWARD]]


def test_a_rung_that_is_not_needed_is_not_asked():
    judge = Rung("judge", "supported", "judge")
    Ladder([StructuredRung(), judge]).rule([YEAR], FACTS)
    assert judge.asked == []


def test_notes_of_rungs_that_did_not_decide_are_kept():
    rungs = [
        Rung("structured", "unverifiable", None, "no such column"),
        Rung("nli"),
        Rung("judge", "unverifiable", None, "both"),
    ]
    [ruling] = Ladder(rungs).rule([AWARD], FACTS)
    assert (ruling.verdict, ruling.rung, ruling.note) == ("unverifiable", None, "no such column; both")


def test_a_note_goes_with_the_ruling_that_decides_alone():
    rungs = [Rung("structured", "unverifiable", None, "no such column"), Rung("nli", "supported", "nli", "P .9")]
    assert Ladder(rungs).rule([AWARD], FACTS)[0].note == "P .9"


def test_no_rungs_leave_every_claim_unverifiable():
    assert [r.verdict for r in Ladder([]).rule([YEAR, AWARD], FACTS)] == ["unverifiable"] * 2
    assert Ladder([]).rule([], FACTS) == []


@pytest.mark.parametrize(
    ("passages", "searched", "missed"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"item:1": "Alien."}, True, True),
        ({"notes.md#alien": "Alien had a troubled shoot."}, True, False),
        ({"item:1~2": "The second part."}, True, False),
        ({"notes.md#other": "Heat is long."}, True, True),
    ],
)
def test_a_retrieval_miss_is_said_only_where_passages_were_sought_and_none_is_about_the_item(
    passages, searched, missed
):
    facts = replace(FACTS, passages=passages, searched=searched)
    [ruling] = Ladder().rule([AWARD], facts)
    assert ruling.verdict == "unverifiable"
    assert (RETRIEVAL_MISS in ruling.note) == missed


def test_what_only_the_request_can_settle_is_no_retrieval_miss():
    claim = Claim("user_likes", "westerns", "", None, 0, 4, "You like westerns.")
    [ruling] = Ladder().rule([claim], replace(FACTS, searched=True))
    assert RETRIEVAL_MISS not in ruling.note


def test_two_rungs_of_one_name_are_refused():
    with pytest.raises(ValueError, match="rungs: 'structured' is there twice"):
        Ladder([StructuredRung(), StructuredRung()])
