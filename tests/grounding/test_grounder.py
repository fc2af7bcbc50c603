from __future__ import annotations

import pytest
from grounding_world import TITLES
from hypothesis import given
from hypothesis import strategies as st

from audit.grounding import Grounder
from audit.types import Catalog, Item

_CATALOG = Catalog(Item(key, title) for key, title in TITLES.items())
_ONCE = Grounder(_CATALOG)


def _items(*keys: str) -> list[Item]:
    return [_CATALOG[key] for key in keys]


def test_every_fault_is_counted_apart(grounder: Grounder) -> None:
    text = (
        "Here you go:\n"
        "1. The Matrix (1999) - bold\n"
        "2. Findng Nemo\n"
        "3. Toy Story 3\n"
        "4. The Matrix Unbound\n"
        "5. Matrix, The\n"
        "6. Se7en\n"
        "7. Aliens (1979)\n"
    )
    found = grounder.ground_list(text, candidates=_items("matrix", "nemo", "aliens"), history=_items("seven"), k=3)
    assert [entry.item_id for entry in found.ranked] == ["matrix", "nemo", None, None, "matrix", "seven", "aliens"]
    assert found.outcome == "ok"
    counts = {name: count for name, count in found.tally.to_dict().items() if count}
    assert counts == {
        "answers": 1,
        "entries": 7,
        "matched": 4,
        "typo_matched": 1,
        "ambiguous": 1,
        "absent": 1,
        "outside_candidates": 1,
        "duplicates": 1,
        "history_repeats": 1,
        "year_conflicts": 1,
        "too_many": 1,
    }
    assert found.ranked[0].reason == "bold"


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("I'm sorry, but I can't help with that.", "refused"),
        ("I would rather talk about the weather, which is nice today.", "unparsable"),
        ("", "unparsable"),
        ("[]", "ok"),
        ("I'm sorry, I can't find all of them, but:\n- Aliens", "ok"),
    ],
)
def test_outcomes(grounder: Grounder, text: str, outcome: str) -> None:
    found = grounder.ground_list(text, k=5)
    assert found.outcome == outcome
    assert bool(found.detail) == (outcome != "ok")
    assert found.tally.too_few == (outcome == "ok")


def test_an_edited_title_still_names_its_item(grounder: Grounder) -> None:
    candidates = [Item("nemo", "The Best Film Ever!!!"), _CATALOG["up"]]
    found = grounder.ground_list("1. The Best Film Ever!!!\n2. Finding Nemo", candidates=candidates)
    assert [entry.item_id for entry in found.ranked] == ["nemo", "nemo"]
    assert found.tally.outside_candidates == 0


def test_a_candidate_settles_a_remake(grounder: Grounder) -> None:
    found = grounder.ground_list('["Cape Fear"]', candidates=_items("cape91", "up"))
    assert found.ranked[0].item_id == "cape91"
    assert grounder.ground_list('["Cape Fear"]').tally.ambiguous == 1


def test_a_misspelled_title_with_a_dash_is_tried_whole(grounder: Grounder) -> None:
    found = grounder.ground_list("1. Star Wars: Episode IV - A New Hoppe")
    assert found.matches[0].status == "match_typo"
    assert found.ranked[0].item_id == "hope"


@pytest.mark.parametrize(
    ("strings", "ids"),
    [
        (["matrix", "nemo"], ["matrix", "nemo"]),
        (["The Matrix", "nemo"], ["matrix", "nemo"]),
        (["1984"], ["orwell"]),  # also the id of Brazil, but a title comes first
        (["1984", "toy2"], ["1984", "toy2"]),  # a list of ids
        (["1984", "Up"], ["orwell", "up"]),
        (["Nothing of the Kind"], [None]),
        ([""], [None]),
        ([], []),
    ],
)
def test_titles_and_ids(grounder: Grounder, strings: list[str], ids: list[str | None]) -> None:
    assert [entry.item_id for entry in grounder.ground_titles(strings).ranked] == ids


def test_a_list_that_counts_twice_still_names_its_items(grounder: Grounder) -> None:
    text = "1. The Matrix (1999)\n2. 3. Findng Nemo\n3. 4. The Matrix (1999)\n4. 5. The Matrix Unbound\n"
    assert [entry.item_id for entry in grounder.ground_list(text).ranked] == ["matrix", "nemo", "matrix", None]


def test_repeated_unknown_titles_are_duplicates(grounder: Grounder) -> None:
    assert grounder.ground_titles(["The Matrix Unbound", "Matrix Unbound, The"]).tally.duplicates == 1


@given(st.lists(st.text(max_size=30) | st.sampled_from(sorted(TITLES.values())), max_size=8), st.integers(0, 5))
def test_every_entry_is_counted_once(strings: list[str], k: int) -> None:
    found = _ONCE.ground_titles(strings, k=k)
    tally = found.tally
    assert tally.entries == len(strings) == len(found.ranked) == len(found.matches)
    assert tally.matched + tally.typo_matched + tally.ambiguous + tally.absent == tally.entries


@given(st.text(max_size=200))
def test_any_text_is_grounded(text: str) -> None:
    found = _ONCE.ground_list(text)
    assert found.outcome in ("ok", "refused", "unparsable")
    assert all(text[m.start : m.end] == m.title for m in _ONCE.ground_mentions(text))
