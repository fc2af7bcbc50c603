"""The joined text and the edits that lead from it to a perturbed one: exact for any text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import ODD_TITLES, any_request, request, texts
from hypothesis import given
from hypothesis import strategies as st

from attacks.textattack.fields import fields_of, protected
from audit.edits import apply, read_text
from audit.target import Input, TargetInfo
from audit.types import Event, Item, Request, User

READS_TITLES = TargetInfo("titles", honours=frozenset({Input.ITEM_TEXT}))
READS_ALL = TargetInfo("all", honours=frozenset(Input))


def worded(text: str, **fields: str) -> Request:
    return replace(request(), instruction=text, user=User("u", note=fields.get("note", "")))


def pieces(request_: Request, info: TargetInfo, perturb) -> tuple[Request, dict[str, str]]:
    """The edited request, and what each field should be."""
    fields = fields_of(request_, info, most=1000)
    assert fields is not None
    wanted = {name: perturb(read_text(request_, name)) for name in fields.names}
    joint = fields._joint
    edits = fields.edits(joint.join(text.replace("<SPLIT>", fields._mark) for text in wanted.values()))
    return apply(edits, request_), wanted


@given(asked=any_request, data=st.data())
def test_edits_lead_exactly_to_the_perturbed_text(asked: Request, data: st.DataObject) -> None:
    for info in (READS_ALL, READS_TITLES):
        if fields_of(asked, info, 3) is not None:
            after, wanted = pieces(asked, info, lambda old: data.draw(st.one_of(st.just(old), texts)))
            assert {name: read_text(after, name) for name in wanted} == wanted


@pytest.mark.parametrize("title", [t for t in ODD_TITLES if any(c.isalnum() for c in t)])
def test_odd_titles_come_through(title: str) -> None:
    asked = Request(User("u", (Event(Item("a", title)), Event(Item("b", "Winter <SPLIT> Garden")))), instruction="")
    after, wanted = pieces(asked, READS_TITLES, lambda old: old.replace("a", "ä ").replace("i", ""))
    assert {name: read_text(after, name) for name in wanted} == wanted
    assert "<SPLIT>" in read_text(after, "item:b.title")


def test_a_text_without_words_offers_nothing() -> None:
    assert fields_of(worded(" … 👍 {} "), READS_ALL, 3) is None
    assert fields_of(worded("Rank films."), TargetInfo("deaf", honours=frozenset()), 3) is None


def test_each_changed_word_is_one_edit_as_short_as_can_be() -> None:
    fields = fields_of(worded("Rank these films for Anna now."), READS_ALL, 5)
    assert fields is not None
    edits = fields.edits("Rak these f ilms for Anna.")
    assert [(e.start, e.end, e.text) for e in edits] == [(25, 29, ""), (12, 12, " "), (2, 3, "")]
    assert fields.edits(fields.text) == ()


@given(text=st.text(st.sampled_from("ab c"), min_size=1, max_size=40), most=st.integers(1, 3))
def test_no_more_edits_than_allowed(text: str, most: int) -> None:
    asked = worded("a b c a b c aa bb cc abc")
    fields = fields_of(asked, READS_ALL, most)
    assert fields is not None
    edits = fields.edits(text)
    assert len(edits) <= most
    assert apply(edits, asked).instruction == text


def test_template_fields_markers_and_answer_words_are_protected() -> None:
    text = 'Say Yes or no about {title of it} as {"id": 1} in <list> [INST] now, "score": 3, nothing else.'
    kept = [text[start:end] for start, end in protected(text)]
    assert kept == ["Yes", "no", "{title of it}", '{"id": 1}', "<list>", "[INST]", '"score":']
