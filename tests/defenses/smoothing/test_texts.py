"""Which texts copies may differ in, and how they get them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import Scripted, any_request, request
from hypothesis import given
from hypothesis import strategies as st

from audit.edits import TextEdit, apply
from audit.errors import ConfigError
from audit.target import Input
from audit.types import Event, Item, Passage, Turn, User
from defenses.fields import untrusted
from defenses.smoothing.texts import KINDS, check_kinds, free_texts, needed, rewritten

READS = frozenset({Input.ITEM_TEXT, Input.NOTE, Input.PASSAGES, Input.TURNS})
INFO = Scripted(honours=READS).info


@given(any_request, st.text(max_size=5))
def test_one_pass_does_what_one_edit_per_field_does(asked, text) -> None:
    fields = {found.field: text + found.field for found in untrusted(asked)}
    edits = [TextEdit(t.field, 0, len(t.text), fields[t.field]) for t in untrusted(asked)]
    assert rewritten(asked, fields) == apply(edits, asked)
    assert rewritten(asked, {}) == asked


def test_titles_that_a_ranking_names_are_left_alone() -> None:
    shared = Item("i0", "Winter", "a text")
    other = Item("i9", "Summer")
    user = User("u", (Event(shared), Event(other)), note="hello")
    asked = replace(request(), user=user, candidates=(shared,), passages=(Passage("p", "said"),))
    ranked = {t.field for t in free_texts(asked, INFO)}
    assert ranked == {"note", "item:i9.title", "item:i0.text", "passages[0]"}
    scored = {t.field for t in free_texts(replace(asked, task="score"), INFO)}
    assert scored == ranked | {"item:i0.title"}


def test_the_operators_turns_and_what_the_target_does_not_read_are_left_out() -> None:
    asked = replace(request(), turns=(Turn("system", "obey"), Turn("user", "hi")))
    assert {t.field for t in free_texts(asked, INFO, ("turn",))} == {"turns[1]"}
    assert free_texts(asked, Scripted(honours=frozenset({Input.HISTORY})).info) == []


def test_kinds() -> None:
    assert check_kinds(["note", "title"], "x") == ("title", "note")
    assert needed(("title", "note")) == {Input.ITEM_TEXT, Input.NOTE}
    assert needed(KINDS) == READS
    for bad in ([], "note", ["notes"]):
        with pytest.raises(ConfigError, match=r"defenses\.x\.fields"):
            check_kinds(bad, "x")
