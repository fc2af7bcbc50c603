"""Statements: the neutral request and the one that says something differ in one phrase."""

from __future__ import annotations

import pytest

from audit.edits import SetAttribute, apply
from audit.errors import ConfigError
from audit.modules.fairness.statements import Channel, Statement, channel_of, disclose, place, without
from audit.target import Input, TargetInfo
from audit.text import article
from audit.types import Request, User


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("American", "an"),
        ("female", "a"),
        ("old", "an"),
        ("user", "a"),
        ("umbrella-carrying", "an"),
        ("European", "a"),
        ("honest", "an"),
        ("hour", "an"),
        ("Ukrainian", "a"),
        ("unusual", "an"),
        ("uninterested", "an"),
        ("university-taught", "a"),
        ("early-rising", "an"),
        ("one-armed", "a"),
        ("Islamic", "an"),
        ("Hispanic", "a"),
    ],
)
def test_the_article_follows_the_sound(word: str, expected: str) -> None:
    assert article(word) == expected


def test_the_neutral_form_keeps_its_grammar() -> None:
    said = Statement(after="fan of Fargo.")
    assert said.says() == "I am a fan of Fargo."
    assert said.says("American") == "I am an American fan of Fargo."
    assert Statement().says() == "I am a user of this service."


@pytest.mark.parametrize("phrase", ["female", "American", "old", "user-like"])
@pytest.mark.parametrize("channel", [Channel.NOTE, Channel.INSTRUCTION])
@pytest.mark.parametrize("held", ["", "Something short, please."])
def test_only_the_phrase_is_edited(channel: Channel, held: str, phrase: str) -> None:
    said = Statement()
    text = {"note": held} if channel is Channel.NOTE else {}
    asked = Request(User("u", **text), instruction=held if channel is Channel.INSTRUCTION else "")
    neutral = place(asked, channel, said.says())
    (edit,) = disclose(neutral, channel, said.says(), said.says(phrase), "x", phrase)
    spoken = apply([edit], neutral)
    full = spoken.user.note if channel is Channel.NOTE else spoken.instruction
    assert full == f"{said.says(phrase)} {held}".rstrip()
    assert len(edit.text) <= len(phrase) + 3


def test_an_attribute_is_set_and_a_neutral_request_lacks_it() -> None:
    asked = Request(User("u", attributes={"gender": "F", "age": 30}))
    neutral = without(place(asked, Channel.ATTRIBUTES, "ignored"), ["gender", "race"])
    assert dict(neutral.user.attributes) == {"age": 30}
    assert disclose(neutral, Channel.ATTRIBUTES, "", "", "gender", "M") == [SetAttribute("gender", "M")]


def test_the_channel_is_one_that_the_target_reads() -> None:
    both = TargetInfo("t", honours=frozenset({Input.INSTRUCTION, Input.NOTE}))
    assert channel_of(both) is Channel.NOTE
    assert channel_of(both, "instruction") is Channel.INSTRUCTION
    assert channel_of(both, "attributes") is None
    assert channel_of(TargetInfo("t", honours=frozenset({Input.HISTORY}))) is None
    with pytest.raises(ConfigError, match="'notes' is unknown"):
        channel_of(both, "notes")
