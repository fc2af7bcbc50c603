"""Recommended and advised against in one answer."""

from __future__ import annotations

import time

import pytest

from audit.claims.verification.advice import advised_against
from audit.grounding import Grounder
from audit.types import Catalog, Event, Item, Request, User

TITLES = ("Alien (1979)", "Heat (1995)", "Fargo (1996)", "Toy Story (1995)", "Casablanca (1942)")
ITEMS = [Item(str(n), title) for n, title in enumerate(TITLES)]
GROUNDER = Grounder(Catalog(ITEMS))
REQUEST = Request(User("u", (Event(ITEMS[4]),)))


def found(text):
    return [(c.first.subject, c.first.object, c.second.object) for c in advised_against(text, REQUEST, GROUNDER)]


@pytest.mark.parametrize(
    "text",
    [
        "1. Alien (1979) - a classic\n2. Fargo (1996) - dark\n\nI would not recommend Fargo to you.",
        "1. Alien - superb.\n2. Fargo - dark. Skip this one.\n",
        "1. Alien - superb.\n2. Fargo - not recommended.\n3. Heat - good.",
        'I recommend "Alien" and "Fargo". They are great. But avoid "Fargo".',
        "I recommend Fargo. It is a fine film. Stay away from Fargo.",
        "You might enjoy Fargo. Fargo is not a good fit for your taste.",
        "Watch Fargo (1996). On second thought, don't watch Fargo.",
        '[{"title": "Fargo", "reason": "Dark, not recommended."}]',
    ],
)
def test_both_in_one_answer(text):
    assert [who for who, _, _ in found(text)] == ["Fargo"]


@pytest.mark.parametrize(
    "text",
    [
        "1. Alien (1979) - a classic\n2. Fargo (1996) - dark\n\nI would not recommend Toy Story to you.",
        "1. Fargo - great. Skip it if you dislike violence.\n2. Alien - good.",
        "1. Fargo - don't miss this one.\n2. Alien - not for the faint of heart.",
        "I recommend Fargo. Do not skip Fargo.",
        "I recommend Fargo instead of Heat. Avoid Heat.",
        "You have seen Casablanca. I recommend Fargo. I would not recommend Casablanca again.",
        "Avoid Fargo.",
        "I cannot recommend Fargo enough.",
        "1. Fargo - a film about a man who cannot avoid trouble.",
        "Fargo is not only a thriller. I recommend Fargo.",
        "",
    ],
)
def test_no_contradiction(text):
    assert found(text) == []


def test_the_pair_has_its_places():
    text = "I recommend Fargo. It is fine. Stay away from Fargo."
    [pair] = advised_against(text, REQUEST, GROUNDER)
    assert (pair.first.object, pair.second.object) == ("recommended", "advised against")
    assert text[pair.second.start : pair.second.end] == "Fargo"
    assert pair.second.start > pair.first.end
    assert pair.reason == "'Fargo' is recommended and advised against"


def test_long_answers_take_time_by_their_length():
    started = time.perf_counter()
    advised_against("I would not recommend Fargo. You should watch Alien, don't skip it. " * 3000, REQUEST, GROUNDER)
    assert time.perf_counter() - started < 10
