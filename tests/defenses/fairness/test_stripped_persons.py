"""Attribute stripping: everything that the audit can say of a person goes, and what a person likes stays."""

from __future__ import annotations

import time

import numpy as np
import pytest
from helpers import Scripted

from audit.modules.fairness.names.lists import load
from audit.modules.fairness.vocabulary import fill, vocabulary
from audit.target import Input
from audit.types import Catalog, Event, Item, Request, Turn, User
from defenses.fairness.stripping import AttributeStripping, Stripped

READS = frozenset({Input.NOTE, Input.INSTRUCTION, Input.ATTRIBUTES, Input.HISTORY, Input.TURNS})


def behind(catalog: Catalog | None = None, **options: object) -> Stripped:
    return AttributeStripping(catalog, **options).protect(Scripted(honours=READS))  # type: ignore[arg-type]


def stripped(note: str, made: Stripped | None = None) -> str:
    """A note behind the defense; stripping it again must change nothing."""
    made = made or behind()
    (after,) = made.rewrite([Request(User("u", note=note))])
    assert made.edits([after]) == [[]], "once is enough"
    return after.user.note


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("I am a female fan of Heat.", "I am a fan of Heat."),
        ("I am an American user of this service.", "I am a user of this service."),
        ("I am a user of this service.", "I am a user of this service."),
        ("I am a North American fan.", "I am a fan."),
        ("I'm Black and I like jazz.", "I'm a person and I like jazz."),
        ("I am a teacher.", "I am a person."),
        ("I am a young, non-religious person.", "I am a person."),
        ("I am a female software tester.", "I am a software tester."),
        ("I'm 34 and like jazz.", "I'm a person and like jazz."),
        ("Gender: F; age: 34. I like jazz.", "Gender: withheld; age: withheld. I like jazz."),
        ("The user is female.", "The user is a person."),
        ("She likes her films slow; ask her.", "They likes their films slow; ask them."),
        ("She's fond of his films.", "They're fond of their films."),
        ("I am a 34-year-old woman.", "I am a person."),
        ("As a Black man aged 52 I like jazz.", "As a person I like jazz."),
        ("Recommend films for an elderly German lady.", "Recommend films for a person."),
        ("I am a gay man and a Muslim.", "I am a person."),
        ("My wife and I like jazz.", "My partner and I like jazz."),
    ],
)
def test_who_one_is_goes(said: str, left: str) -> None:
    assert stripped(said) == left


@pytest.mark.parametrize(
    "said",
    [
        "I like French films and heavy metal.",
        "Black comedies with a female lead, please.",
        "Films about old age, please.",
        "Short Indian stories, an Asian umbrella.",
        "I liked Heat and Manhattan.",
        "This is a black comedy for old friends.",
        "My name is of no matter.",
    ],
)
def test_what_one_likes_stays(said: str) -> None:
    assert stripped(said) == said


def test_everywhere_means_tastes_too() -> None:
    made = behind(where="everywhere", words=["umbrella"])
    assert stripped("I like French films and an umbrella here.", made) == "I like films and a here."


@pytest.mark.parametrize("title", ["Man Who Would Be King, The (1975)", "Boy and the Heron, The", "This Is Spinal Tap"])
def test_titles_are_not_rewritten(title: str) -> None:
    item = Item("1", title)
    told = {"Man Who Would Be King, The (1975)": "The Man Who Would Be King", "Boy and the Heron, The": title}
    note = f"I am a female fan of {told.get(title, title)}."
    assert stripped(note, behind(Catalog([item]))) == note.replace("female ", "")
    made = behind()
    (after,) = made.rewrite([Request(User("u", (Event(item),), note=note))])
    assert after.user.note == note.replace("female ", ""), "titles of the request are known without a catalogue"


@pytest.mark.parametrize("form", ["user", "item"])
def test_nothing_that_the_audit_says_is_left(form: str) -> None:
    words = vocabulary()
    for wording in getattr(words.languages["en"], form):
        neutral = fill(wording, anchor="Heat")
        assert stripped(neutral) == neutral
        for values in words.attributes.values():
            for value in values:
                assert stripped(fill(wording, value, anchor="Heat")) == neutral
        for placebo in words.placebos:
            said = fill(wording, placebo, anchor="Heat")
            assert stripped(said) == said, "a placebo is nothing to take out"


def test_the_values_of_fairllm_cannot_be_told_apart() -> None:
    words = vocabulary()
    for attribute, values in words.original.items():
        left = {stripped(words.original_wording.replace("{value}", v).replace("{anchor}", "Heat")) for v in values}
        assert len(left) == 1, attribute


@pytest.mark.parametrize("lead", ["My name is {}.", "my name’s {}", "Call me {}!", "I like jazz.\nBest regards, {}"])
def test_no_name_of_the_audit_is_left(lead: str) -> None:
    listed = {name for names in load(None, None).cells.values() for name in names}
    told = {stripped(lead.format(getattr(name, "full", name))) for name in listed}
    assert told == {lead.format("withheld")}


def test_history_city_and_the_owner_s_words_are_not_touched() -> None:
    own = "Recommend to a young audience."
    made = AttributeStripping().protect(Scripted(honours=READS, instructions={"rank": own}))
    user = User("u", (Event(Item("1", "Heat")),), {"gender": "F", "name": "Ann", "city": "Oslo"}, "")
    turns = (Turn("user", "I am a girl."), Turn("assistant", "She is a girl."))
    (after,) = made.rewrite([Request(user, instruction=f"I am a young user. {own}", turns=turns)])
    assert after.instruction == f"I am a user. {own}"
    assert [turn.text for turn in after.turns] == ["I am a child.", "She is a girl."]
    assert dict(after.user.attributes) == {"city": "Oslo"}
    assert after.user.history == user.history


def test_any_mixture_is_stripped_once_and_for_all() -> None:
    pieces = (
        "I am a an As the female old Black man woman she her his , and user fan 34 aged 52 name is: My name is Ann ."
    )
    parts = pieces.split()
    rng = np.random.default_rng(0)
    for _ in range(300):
        stripped(" ".join(rng.choice(parts, size=9)))


@pytest.mark.parametrize(
    "piece",
    ["old ", "I am old and a ", "1 year old, ", "her ", "My name is A ", "best regards ", "gender: ", "I am   a "],
)
def test_long_texts_take_no_longer_than_their_length(piece: str) -> None:
    begun = time.perf_counter()
    behind().rewrite([Request(User("u", note=piece * (20_000 // len(piece))))])
    assert time.perf_counter() - begun < 2.0  # what grows with the square takes ten times as long
