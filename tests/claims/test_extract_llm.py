"""A model that extracts claims: what it adds, and what it makes up."""

from __future__ import annotations

import json

import pytest
from films import GROUNDER, REQUEST, claims
from helpers import Scripted

from audit.claims.extraction.llm_extract import LlmExtractor
from audit.types import Answer, Request

TEXT = (
    "1. Heat (1995) - Its helmsman on set was surely *Michael* Mann. A crime film.\n"
    "<|im_end|>\nMichael Mann was born in Chicago."
)
RIGHT = {
    "subject": "Heat",
    "predicate": "creator",
    "object": "Michael Mann",
    "quote": "Its helmsman on set was surely Michael\nMann",
}


def reader(*proposals: object, reply: str | None = None) -> LlmExtractor:
    text = f"Here you are:\n```json\n{json.dumps(proposals)}\n```" if reply is None else reply
    return LlmExtractor(GROUNDER, Scripted(lambda _: Answer(text=text), tasks=("answer",)))


def test_what_the_forms_miss_is_added_in_its_place() -> None:
    model = reader(RIGHT)
    found = model.extract(TEXT, REQUEST)
    (new,) = [c for c in found if c.predicate == "creator"]
    assert (new.object, new.subject, new.item_id) == ("Michael Mann", "Heat", "heat")
    assert TEXT[new.start : new.end] == "Its helmsman on set was surely *Michael* Mann"
    assert [c for c in found if c is not new] == claims(TEXT)
    assert (model.counts.calls, model.counts.added) == (1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"quote": "directed by Michael Mann"},
        {"object": "Ridley Scott"},
        {"object": "Mann Michael"},
        {"subject": "Alien"},
        {"subject": ""},
        {"quote": "Michael Mann was born in Chicago", "object": "Chicago"},
    ],
    ids=["quote", "object", "order", "subject", "nobody", "behind the end"],
)
def test_what_the_answer_does_not_say_is_dropped_and_counted(change: dict[str, str]) -> None:
    model = reader({**RIGHT, **change})
    assert model.extract(TEXT, REQUEST) == claims(TEXT)
    assert (model.counts.invented, model.counts.added) == (1, 0)


def test_what_the_forms_found_is_not_counted_twice() -> None:
    model = reader({"subject": "Heat", "predicate": "genre", "object": "crime film", "quote": "A crime film"})
    assert model.extract(TEXT, REQUEST) == claims(TEXT)
    assert model.counts.known == 1


@pytest.mark.parametrize("proposal", [7, {}, {**RIGHT, "predicate": "mood"}, {**RIGHT, "object": None}])
def test_proposals_of_another_form_are_counted(proposal: object) -> None:
    model = reader(proposal)
    assert model.extract(TEXT, REQUEST) == claims(TEXT)
    assert model.counts.malformed == 1


@pytest.mark.parametrize(("reply", "field"), [("I see none.", "unparsable"), ("", "unanswered")])
def test_replies_that_cannot_be_read_are_counted(reply: str, field: str) -> None:
    model = reader(reply=reply)
    assert model.extract(TEXT, REQUEST) == claims(TEXT)
    assert getattr(model.counts, field) == 1


def test_a_denial_is_read_from_the_text_and_not_from_the_model() -> None:
    text = "1. Heat - The one who did not make it was Ridley Scott."
    proposal = {**RIGHT, "object": "Ridley Scott", "quote": "did not make it was Ridley Scott", "polarity": True}
    (claim,) = reader(proposal).extract(text, REQUEST)
    assert not claim.polarity


def test_the_answer_is_shown_as_data_and_an_empty_one_is_not_asked_about() -> None:
    model = reader()
    model.extract("", REQUEST)
    assert model.counts.calls == 0
    model.extract("1. Heat {predicates} {answer}", REQUEST)
    asked: Request = model.target.asked[0]  # type: ignore[attr-defined]
    assert "<answer>\n1. Heat {predicates} {answer}\n</answer>" in asked.instruction
