"""Self-contradictions: what excludes each other, and what only looks so."""

from __future__ import annotations

import time

import pytest

from audit.claims import Claim
from audit.claims.verification.conflicts import conflicts


def claim(predicate, said, at, item="1", subject="Alien", sentence=None, **fields):
    return Claim(
        predicate,
        said,
        subject,
        item,
        at,
        at + 4,
        f"Sentence {at}: {said}." if sentence is None else sentence,
        **fields,
    )


def pair(predicate, one, two, first=None, second=None):
    return conflicts([claim(predicate, one, 0, **(first or {})), claim(predicate, two, 50, **(second or {}))])


@pytest.mark.parametrize(
    ("predicate", "one", "two", "clash"),
    [
        ("year", "1979", "1986", True),
        ("year", "1979", "1980", False),  # within what is tolerated of one year
        ("year", "1979", "the seventies", False),
        ("year", "1979", "the nineties", True),
        ("year", "before 1980", "1985", True),
        ("year", "a while ago", "1985", False),
        ("runtime", "two hours", "117 minutes", False),
        ("runtime", "two hours", "90 minutes", True),
        ("runtime", "two hours", "300 pages", False),
        ("price", "$10", "$9.99", False),
        ("price", "$10", "$15", True),
        ("price", "$10", "15 euros", False),
        ("genre", "horror", "comedy", False),
        ("cast", "Sigourney Weaver", "Tom Skerritt", False),
        ("creator", "Ridley Scott", "Scott", False),
        ("creator", "Ridley Scott", "James Cameron", True),
        ("platform", "Hulu", "Netflix", False),
    ],
)
def test_values_of_one_item_that_cannot_both_be_so(predicate, one, two, clash):
    assert bool(pair(predicate, one, two)) == clash
    assert bool(pair(predicate, two, one)) == clash


def test_approximations_need_a_wider_gap():
    assert not pair("year", "1979", "1981", second={"approximate": True})
    assert pair("year", "1979", "1982", second={"approximate": True})


def test_creators_of_one_sentence_or_of_different_deeds_are_no_contradiction():
    shared = {"sentence": "Directed by Joel Coen and Ethan Coen."}
    assert not pair("creator", "Joel Coen", "Ethan Coen", shared, shared)
    directed, written = (
        {"sentence": "It was directed by Ridley Scott."},
        {"sentence": "It was written by Dan O'Bannon."},
    )
    assert not pair("creator", "Ridley Scott", "Dan O'Bannon", directed, written)
    other = {"sentence": "James Cameron directed it."}
    assert pair("creator", "Ridley Scott", "James Cameron", directed, other)


@pytest.mark.parametrize(
    ("predicate", "one", "two", "clash"),
    [
        ("genre", "sci-fi", "science fiction", True),
        ("genre", "horror", "comedy", False),
        ("creator", "Scott", "Ridley Scott", False),  # a surname alone may be another's
        ("creator", "R. Scott", "Ridley Scott", True),
        ("year", "1979", "1979", True),
        ("award", "an Oscar", "an Oscar", True),
        ("constraint_ok", "your budget", "your budget", True),
    ],
)
def test_what_is_asserted_and_denied(predicate, one, two, clash):
    assert bool(pair(predicate, one, two, second={"polarity": False})) == clash


def test_two_denials_exclude_nothing():
    assert not pair("year", "1979", "1990", {"polarity": False}, {"polarity": False})


def test_only_claims_of_one_subject_are_compared():
    assert not pair("year", "1979", "1995", second={"item": "2", "subject": "Heat"})
    assert not pair("year", "1979", "1995", {"item": None, "subject": ""}, {"item": None, "subject": ""})
    made_up = {"item": None, "subject": "The Matrix Unbound"}
    assert pair("year", "1979", "1995", made_up, {**made_up, "subject": "Matrix Unbound, The"})


def test_the_history_by_its_title():
    user = {"item": None, "subject": ""}
    assert pair("in_history", "Heat", "Heat (1995)", user, {**user, "polarity": False})
    assert not pair("in_history", "Heat", "Alien", user, {**user, "polarity": False})


def test_pairs_come_in_the_order_of_the_text_with_a_reason():
    late, early = claim("year", "1990", 90), claim("year", "1979", 10)
    [found] = conflicts([late, early])
    assert (found.first, found.second, found.reason) == (early, late, "'1979' and '1990'")


def test_a_thousand_claims_about_one_item_are_no_million_pairs():
    started = time.perf_counter()
    assert conflicts([claim("year", str(1900 + at % 100), at) for at in range(20_000)])
    assert time.perf_counter() - started < 3


def test_no_claims():
    assert conflicts([]) == []
