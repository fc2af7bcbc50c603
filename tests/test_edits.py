"""Edits: pure, checked, storable, and readable as a diff."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers import ODD_TITLES, any_event, any_passage, any_request, items, request, texts
from hypothesis import given
from hypothesis import strategies as st

from audit.edits import (
    AddPassage,
    CandidateReorder,
    Edit,
    HistoryDrop,
    HistoryInsert,
    HistoryReorder,
    HistoryReplace,
    SetAttribute,
    TextEdit,
    Zone,
    apply,
    diff,
    from_dict,
    read_text,
    to_dict,
    zone_of,
)
from audit.errors import EditError
from audit.types import Event, Item, Passage, Request, Turn

EVENT = Event(Item("new", "New Film"), 3.0)
BASE = request(
    history=3,
    candidates=3,
    instruction="Rank these films.",
    passages=(Passage("p", "A passage."),),
    turns=(Turn("user", "Hello."),),
)
BASE = replace(BASE, user=replace(BASE.user, note="I like snow.", attributes={"age": 30}))

EXAMPLES: list[tuple[Edit, Zone]] = [
    (TextEdit("instruction", 0, 4, "Order"), Zone.OPERATOR),
    (TextEdit("note", 0, 0, "Hi. "), Zone.USER),
    (TextEdit("turns[0]", 0, 5, "Bye"), Zone.USER),
    (TextEdit("passages[0]", 2, 9, "text"), Zone.RETRIEVED),
    (TextEdit("item:i0.title", 0, 6, "Summer"), Zone.SELLER),
    (TextEdit("item:i3.text", 0, 0, "Buy!"), Zone.SELLER),
    (HistoryInsert(3, EVENT), Zone.PLATFORM),
    (HistoryDrop(2), Zone.PLATFORM),
    (HistoryReplace(0, EVENT), Zone.PLATFORM),
    (HistoryReorder((2, 0, 1)), Zone.PLATFORM),
    (SetAttribute("age", 31), Zone.USER),
    (SetAttribute("age", None), Zone.USER),
    (SetAttribute("tags", ("a", "b")), Zone.USER),
    (AddPassage(1, Passage("q", "More.", "web")), Zone.RETRIEVED),
    (CandidateReorder((1, 2, 0)), Zone.OPERATOR),
]


@pytest.mark.parametrize(("edit", "zone"), EXAMPLES)
def test_every_kind_changes_the_request_and_nothing_in_place(edit: Edit, zone: Zone) -> None:
    before = BASE.to_dict()
    after = edit.apply(BASE)
    assert after.digest != BASE.digest
    assert BASE.to_dict() == before
    assert edit.zone == zone
    assert from_dict(json.loads(json.dumps(to_dict(edit)))) == edit
    assert diff(BASE, after)


def test_no_edits_give_the_very_same_request() -> None:
    assert apply((), BASE) is BASE


def test_what_each_kind_does() -> None:
    def titles(edit: Edit) -> list[str]:
        return [e.item.id for e in edit.apply(BASE).user.history]

    assert titles(HistoryInsert(0, EVENT)) == ["new", "i0", "i1", "i2"]
    assert titles(HistoryDrop(1)) == ["i0", "i2"]
    assert titles(HistoryReplace(1, EVENT)) == ["i0", "new", "i2"]
    assert titles(HistoryReorder((2, 0, 1))) == ["i2", "i0", "i1"]
    assert [c.id for c in CandidateReorder((2, 0, 1)).apply(BASE).candidates or ()] == ["i5", "i3", "i4"]
    assert SetAttribute("age", None).apply(BASE).user.attributes == {}
    assert TextEdit("instruction", 5, 10, "those").apply(BASE).instruction == "Rank those films."


def test_an_item_is_edited_wherever_it_occurs() -> None:
    shared = replace(BASE, candidates=(*items(1), *items(2, start=7)))
    after = TextEdit("item:i0.title", 0, 0, "The ").apply(shared)
    assert after.user.history[0].item.title == "The Winter Garden Number 0"
    assert after.candidates is not None
    assert after.candidates[0].title == "The Winter Garden Number 0"
    assert after.candidates[1:] == shared.candidates[1:]
    assert after.user.history[1:] == shared.user.history[1:]


@pytest.mark.parametrize(
    "edit",
    [
        TextEdit("instruction", -1, 2, "x"),
        TextEdit("instruction", 3, 2, "x"),
        TextEdit("instruction", 0, 18, "x"),
        TextEdit("note", 13, 13, "x"),
        TextEdit("turns[1]", 0, 0, "x"),
        TextEdit("passages[9]", 0, 0, "x"),
        TextEdit("passages[0]\n", 0, 0, "x"),
        TextEdit("item:nobody.title", 0, 0, "x"),
        TextEdit("item:i0.title\n", 0, 0, "x"),
        TextEdit("item:i0.year", 0, 0, "x"),
        TextEdit("titel", 0, 0, "x"),
        HistoryInsert(4, EVENT),
        HistoryInsert(-1, EVENT),
        HistoryDrop(3),
        HistoryDrop(-1),
        HistoryReplace(3, EVENT),
        HistoryReorder((0, 1)),
        HistoryReorder((0, 1, 1)),
        HistoryReorder((0, 1, 3)),
        AddPassage(2, Passage("q", "More.")),
        CandidateReorder((0, 1)),
    ],
)
def test_an_edit_that_does_not_fit_is_an_error(edit: Edit) -> None:
    with pytest.raises(EditError, match="edit: "):
        edit.apply(BASE)


def test_candidates_that_are_not_there_cannot_be_reordered() -> None:
    with pytest.raises(EditError, match="no candidates"):
        CandidateReorder(()).apply(replace(BASE, candidates=None))


def test_positions_refer_to_the_request_as_earlier_edits_left_it() -> None:
    drops = (HistoryDrop(0), HistoryDrop(0), HistoryDrop(0))
    assert apply(drops, BASE).user.history == ()
    with pytest.raises(EditError, match="history_drop"):
        apply((*drops, HistoryDrop(0)), BASE)
    text = apply((TextEdit("note", 0, 0, "Well, "), TextEdit("note", 6, 7, "i")), BASE)
    assert text.user.note == "Well, i like snow."


@pytest.mark.parametrize("title", ODD_TITLES)
def test_odd_characters_survive_an_edit_around_them(title: str) -> None:
    odd = replace(BASE, candidates=(Item("x:1].title", title),))
    field = "item:x:1].title.title"
    after = apply((TextEdit(field, 0, 0, "["), TextEdit(field, len(title) + 1, len(title) + 1, "]")), odd)
    assert read_text(after, field) == f"[{title}]"
    assert Request.from_dict(json.loads(json.dumps(after.to_dict()))) == after


def test_field_names_belong_to_zones() -> None:
    assert zone_of("history[3].title") == Zone.SELLER
    assert zone_of("attributes.age") == Zone.USER
    assert zone_of("candidates") == Zone.OPERATOR
    with pytest.raises(EditError, match="not an editable field"):
        zone_of("title")


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "history_swap"},
        {},
        {"kind": "history_drop"},
        {"kind": "history_drop", "position": 0, "extra": 1},
        {"kind": "history_insert", "position": 0, "event": {}},
        {"kind": "add_passage", "position": 0, "passage": {"id": "p"}},
    ],
)
def test_stored_edits_that_are_not_edits_are_errors(data: dict[str, object]) -> None:
    with pytest.raises(EditError, match="edit: "):
        from_dict(data)


def edits_of(asked: Request) -> st.SearchStrategy[Edit]:
    """Edits that fit a request."""
    length = len(asked.user.history)
    note = len(asked.user.note)
    kinds: list[st.SearchStrategy[Edit]] = [
        st.builds(HistoryInsert, st.integers(0, length), any_event),
        st.builds(SetAttribute, texts, st.one_of(st.none(), texts)),
        st.builds(AddPassage, st.integers(0, len(asked.passages)), any_passage),
        st.builds(HistoryReorder, st.permutations(range(length)).map(tuple)),
        st.tuples(st.integers(0, note), st.integers(0, note), texts).map(
            lambda t: TextEdit("note", min(t[:2]), max(t[:2]), t[2])
        ),
    ]
    if length:
        kinds.append(st.builds(HistoryDrop, st.integers(0, length - 1)))
        kinds.append(st.builds(HistoryReplace, st.integers(0, length - 1), any_event))
    if asked.candidates is not None:
        kinds.append(st.builds(CandidateReorder, st.permutations(range(len(asked.candidates))).map(tuple)))
    return st.one_of(kinds)


@given(st.data())
def test_stored_edits_do_what_the_edits_did(data: st.DataObject) -> None:
    asked = data.draw(any_request)
    edits: list[Edit] = []
    after = asked
    for _ in range(data.draw(st.integers(0, 4))):
        edits.append(data.draw(edits_of(after)))
        after = edits[-1].apply(after)
    stored = json.loads(json.dumps([to_dict(e) for e in edits]))
    assert apply([from_dict(e) for e in stored], asked) == after


@given(texts, texts)
def test_a_text_diff_holds_both_texts(old: str, new: str) -> None:
    before, after = replace(BASE, instruction=old), replace(BASE, instruction=new)
    changes = diff(before, after)
    assert bool(changes) == (old != new)
    for change in changes:
        assert change.field == "instruction"
        assert "".join(text for how, text in change.pieces if how != "insert") == old
        assert "".join(text for how, text in change.pieces if how != "delete") == new


def test_a_diff_reads_as_a_person_would_write_it() -> None:
    edits = (
        TextEdit("instruction", 0, 4, "do not rank"),
        SetAttribute("age", 31),
        HistoryInsert(1, EVENT),
        TextEdit("item:i4.title", 0, 6, "Summer"),
    )
    assert [str(change) for change in diff(BASE, apply(edits, BASE))] == [
        "instruction: [-Rank-]{+do not rank+} these films.",
        "attributes.age: [-30-]{+31+}",
        "history: Winter Garden Number 0 (1) · {+New Film (3) · +}Winter Garden Number 1 (2) · "
        "Winter Garden Number 2 (3)",
        "candidates[1]: [-Winter-]{+Summer+} Garden Number 4",
    ]
    shuffled = diff(BASE, CandidateReorder((1, 0, 2)).apply(BASE))
    assert [change.field for change in shuffled] == ["candidates"]
    assert diff(BASE, BASE) == []
