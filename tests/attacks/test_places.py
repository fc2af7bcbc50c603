"""Places: words and events that can be masked and neighboured, without any position drifting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import ODD_TITLES, catalog, request

from attacks.places import draw_items, in_order, insertable, insertion, item_places, masked, title_words, word_places
from audit.edits import HistoryInsert, apply
from audit.target import Input, TargetInfo
from audit.types import Catalog, Item

READS = TargetInfo("reads", honours=frozenset({Input.INSTRUCTION, Input.HISTORY}))
BLIND = TargetInfo("blind", honours=frozenset())
WORDED = request(instruction="Rank these, please.")


def test_every_word_and_every_event_is_a_place() -> None:
    words = word_places(WORDED, READS)
    assert [WORDED.instruction[p.start : p.end] for p in words] == ["Rank", "these,", "please."]
    assert [p.start for p in item_places(WORDED, READS)] == [0, 1, 2, 3]
    assert word_places(WORDED, BLIND) == item_places(WORDED, BLIND) == []


def test_masking_takes_the_word_and_one_space() -> None:
    texts = [apply(masked(p, WORDED), WORDED).instruction for p in word_places(WORDED, READS)]
    assert texts == ["these, please.", "Rank please.", "Rank these,"]
    histories = [apply(masked(p, WORDED), WORDED).user.history for p in item_places(WORDED, READS)]
    whole = WORDED.user.history
    assert histories == [whole[:i] + whole[i + 1 :] for i in range(4)]


def test_insertions_at_several_places_land_where_each_alone_would() -> None:
    items = item_places(WORDED, READS)
    words = word_places(WORDED, READS)
    film = catalog()["i30"]
    chosen = [(words[0], "aa"), (items[3], film), (words[2], "bb"), (items[0], film)]
    edits = in_order((place, insertion(place, what, WORDED)) for place, what in chosen)
    after = apply(edits, WORDED)
    assert after.instruction == "aa Rank these, bb please."
    assert [e.item.id for e in after.user.history] == ["i0", "i30", "i1", "i2", "i3", "i30"]


def test_an_inserted_event_joins_the_list_of_its_neighbour() -> None:
    place = item_places(WORDED, READS)[2]
    edit = insertion(place, catalog()["i30"], WORDED)
    assert isinstance(edit, HistoryInsert)
    assert (edit.position, edit.event.rating) == (3, WORDED.user.history[2].rating)


def test_an_empty_history_has_one_place() -> None:
    empty = request(history=0)
    (place,) = item_places(empty, READS)
    assert masked(place, empty) == ()
    assert len(apply((insertion(place, catalog()["i30"], empty),), empty).user.history) == 1


@pytest.mark.parametrize("text", ODD_TITLES)
def test_odd_text_is_put_back_together_as_it_was(text: str) -> None:
    asked = replace(WORDED, instruction=text)
    for place in word_places(asked, READS):
        word = text[place.start : place.end]
        assert word
        after = apply((insertion(place, word, asked),), asked).instruction
        assert after[: place.start] + after[place.start + len(word) + 1 :] == text


def test_only_foreign_items_may_be_inserted() -> None:
    free = insertable(catalog(12), frozenset({"i10"}), request())
    assert [item.id for item in free] == ["i9", "i11"]
    assert insertable(Catalog([Item("i0", "only")]), (), request()) == []


def test_words_of_titles() -> None:
    assert title_words([Item("a", "The {x} 2 Señor, the 漢字!")]) == ["Señor", "The", "the", "漢字"]


@pytest.mark.parametrize("size", [10, 12, 400])
def test_drawn_items_are_different_and_free(size: int) -> None:
    for seed in range(20):
        drawn = draw_items(catalog(size), {"i10"}, request(), 3, np.random.default_rng(seed))
        names = [item.id for item in drawn]
        free = {item.id for item in insertable(catalog(size), {"i10"}, request())}
        assert len(set(names)) == len(names) == min(3, len(free))
        assert set(names) <= free
