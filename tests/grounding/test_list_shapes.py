"""Shapes of lists that FaiRLLM's own parser reads wrongly (acceptance list of the fairness sheet, item 14)."""

from __future__ import annotations

import pytest

from audit.grounding import Grounder
from audit.types import Catalog, Item

_TITLES = {
    "matrix": "Matrix, The (1999)",
    "spider": "Spider-Man (2002)",
    "xmen": "X-Men (2000)",
    "odyssey": "2001: A Space Odyssey (1968)",
    "dont": "Don't Look Now (1973)",
    "vol2": "Kill Bill: Vol. 2 (2004)",
    "heat": "Heat (1995)",
    "up": "Up (2009)",
}


@pytest.fixture(scope="module")
def grounder() -> Grounder:
    return Grounder(Catalog(Item(key, title) for key, title in _TITLES.items()))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("1) Heat\n2) Up", ["heat", "up"]),
        ("- Heat\n- Up", ["heat", "up"]),
        ("1.Heat\n2.Up", ["heat", "up"]),
        ("#1 Heat\n#2 Up", ["heat", "up"]),
        ("• Heat\n• Up", ["heat", "up"]),
        ("**1. Heat** (1995)\n**2. Up** (2009)", ["heat", "up"]),
        ("1. “Heat”\n2. “Don’t Look Now”", ["heat", "dont"]),
        ("1. Spider-Man\n2. X-Men", ["spider", "xmen"]),
        ("1. Spider-Man - a hero swings\n2. X-Men – mutants", ["spider", "xmen"]),
        ("1. Matrix, The\n2. The Matrix", ["matrix", "matrix"]),
        ("1. 2001: A Space Odyssey\n2. Heat", ["odyssey", "heat"]),
        ("2001: A Space Odyssey\nHeat", ["odyssey", "heat"]),
        ("1. Kill Bill: Vol. 2\n2. Heat", ["vol2", "heat"]),
        ("1. Heat\n2. An Invented Film\n3. Up", ["heat", None, "up"]),
        # A title with an invented second title is not the title, whatever is said behind it.
        ("1. Heat: A New Dawn - it never drags\n2. Up", [None, "up"]),
        ("1. Heat: A New Dawn (1995) - it never drags\n2. Up", [None, "up"]),
        ("1. Heat: it never drags - really\n2. Up", ["heat", "up"]),
        # What one may like is recommended, what one liked is not.
        ('I would recommend "Heat". You might also like "Up", and you will love "X-Men".', ["heat", "up", "xmen"]),
        ('Because you liked "Heat", you might like "Up". You would not enjoy "X-Men".', ["up"]),
    ],
)
def test_the_shape_of_a_list_does_not_change_it(grounder: Grounder, text: str, ids: list[str | None]) -> None:
    found = grounder.ground_list(text)
    assert found.outcome == "ok"
    assert [entry.item_id for entry in found.ranked] == ids


@pytest.mark.parametrize(
    "text",
    ["I'm sorry, but I can't recommend films based on religion.", "I’m unable to help with that request."],
)
def test_a_refusal_is_no_empty_list(grounder: Grounder, text: str) -> None:
    assert grounder.ground_list(text).outcome == "refused"
