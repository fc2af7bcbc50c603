"""Requests and answers turn into JSON and back, and equal content has one address."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers import ODD_TITLES, any_request, request, texts
from hypothesis import given
from hypothesis import strategies as st

from audit.types import Answer, Catalog, Event, Item, Ranked, Request, ToolCall, Usage, User

answers = st.builds(
    Answer,
    st.lists(
        st.builds(Ranked, st.one_of(st.none(), texts), texts, st.one_of(st.none(), st.floats(0, 1)), texts), max_size=3
    ).map(tuple),
    st.one_of(st.none(), texts),
    st.sampled_from(("ok", "refused", "unparsable", "error")),
    texts,
    st.builds(Usage, st.integers(0, 99), st.integers(0, 99), st.floats(0, 9)),
    st.lists(st.builds(ToolCall, texts, texts, texts), max_size=2).map(tuple),
)


@given(any_request)
def test_a_request_survives_json(asked: Request) -> None:
    back = Request.from_dict(json.loads(json.dumps(asked.to_dict())))
    assert back == asked
    assert back.digest == asked.digest


@given(answers)
def test_an_answer_survives_json(answer: Answer) -> None:
    assert Answer.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer


@given(any_request, any_request)
def test_digests_are_equal_exactly_when_the_content_is(one: Request, other: Request) -> None:
    assert (one.digest == other.digest) == (one == other)


A, B = Item("1", "A"), Item("2", "B")
BASE = Request(User("u", (Event(A, 4.0), Event(B)), {"age": 30}, "a note"), instruction="Rank.", candidates=(A, B))


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, k=9),
        replace(BASE, task="score"),
        replace(BASE, instruction="Rank"),
        replace(BASE, candidates=None),
        replace(BASE, candidates=()),
        replace(BASE, candidates=(B, A)),
        replace(BASE, candidates=(A, replace(B, text="t"))),
        replace(BASE, candidates=(A, replace(B, image=b""))),
        replace(BASE, candidates=(A, replace(B, attributes={"year": 1990}))),
        replace(BASE, user=replace(BASE.user, id="v")),
        replace(BASE, user=replace(BASE.user, note="")),
        replace(BASE, user=replace(BASE.user, attributes={"age": "30"})),
        replace(BASE, user=replace(BASE.user, history=(Event(B), Event(A, 4.0)))),
        replace(BASE, user=replace(BASE.user, history=(Event(A), Event(B)))),
        replace(BASE, user=replace(BASE.user, history=(Event(A, None, 4.0), Event(B)))),
        # What moves from the history to the candidates is another question, though the same items occur in order.
        replace(BASE, user=replace(BASE.user, history=(Event(A, 4.0),)), candidates=(B, A, B)),
    ],
)
def test_any_difference_changes_the_digest(other: Request) -> None:
    assert other.digest != BASE.digest


def test_a_whole_number_is_the_same_rating_as_a_decimal() -> None:
    whole = replace(BASE, user=replace(BASE.user, history=(Event(A, 4), Event(B))))
    assert whole == BASE
    assert whole.digest == BASE.digest


@pytest.mark.parametrize("title", [*ODD_TITLES, "half an emoji \ud83d", "a\x00b"])
def test_any_title_has_a_digest_and_survives_json(title: str) -> None:
    asked = replace(request(), candidates=(Item("x", title),))
    back = Request.from_dict(json.loads(json.dumps(asked.to_dict())))
    assert back.candidates == asked.candidates
    assert len(asked.digest) == 64
    assert back.digest == asked.digest


def test_ids_and_scores_read_in_order() -> None:
    answer = Answer((Ranked("a", score=0.5), Ranked(None, "Unknown")))
    assert answer.ids == ("a", None)
    assert answer.scores == (0.5, None)


def test_a_catalogue_keeps_order_and_refuses_a_second_item_of_one_id() -> None:
    catalog = Catalog([B, A])
    assert list(catalog) == ["2", "1"]
    assert catalog.items_in_order == (B, A)
    assert catalog.digest != Catalog([A, B]).digest
    with pytest.raises(ValueError, match="'1' occurs twice"):
        Catalog([A, A])
