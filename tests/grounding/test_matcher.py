from __future__ import annotations

import pytest
from grounding_world import ALIASES, TITLES
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import DataError
from audit.grounding import Match, Matcher
from audit.types import Catalog, Item


@pytest.mark.parametrize(
    ("said", "status", "item_id"),
    [
        ("The Matrix", "match", "matrix"),
        ("Findng Nemo", "match_typo", "nemo"),
        ("Toy Story 3", "ambiguous", None),
        ("Alien", "ambiguous", None),
        ("Heat", "ambiguous", None),
        ("Se7en", "alias", "seven"),
        ("Star Wars: A New Hope", "alias", "hope"),
        ("The Matrix Unbound", "absent", None),
        ("Godfather Part II", "absent", None),
    ],
)
def test_measured_table(matcher: Matcher, said: str, status: str, item_id: str | None) -> None:
    found = matcher.match(said)
    assert (found.status, found.item_id) == (status, item_id)


@pytest.mark.parametrize(
    ("said", "year", "status", "item_id", "conflict"),
    [
        ("The Matrix (1999)", None, "match", "matrix", False),
        ("Matrix", 2000, "match", "matrix", False),
        ("The Matrix (2003)", None, "match", "matrix", True),
        ("The Matrix, 1999", None, "match", "matrix", False),
        ("The Matrix 2050", None, "absent", None, False),
        ("Cape Fear (1991)", None, "match", "cape91", False),
        ("Cape Fear", 1963, "match", "cape62", False),
        ("Cape Fear", None, "ambiguous", None, False),
        ("Cape Fear (1975)", None, "ambiguous", None, True),
        ("12 Monkeys", None, "alias", "monkeys", False),
        ("12 Monkeys", 1995, "alias", "monkeys", False),
        ("The City of Lost Children", None, "alias", "lost", False),
        ("La cité des enfants perdus", None, "alias", "lost", False),
        ("Findng Nemo (2003)", None, "match_typo", "nemo", False),
        ("Findng Nemo (1990)", None, "ambiguous", None, False),
        ("Ocean's Twelve", None, "ambiguous", None, False),
        ("七人の侍", None, "match", "seven_samurai", False),
        ("1984", None, "match", "orwell", False),
        ("", None, "absent", None, False),
    ],
)
def test_years_and_names(
    matcher: Matcher, said: str, year: int | None, status: str, item_id: str | None, conflict: bool
) -> None:
    found = matcher.match(said, year)
    assert (found.status, found.item_id, found.year_conflict) == (status, item_id, conflict)


def test_ambiguous_names_what_may_be_meant(matcher: Matcher) -> None:
    assert matcher.match("Cape Fear").candidates == ("cape62", "cape91")
    assert matcher.match("Toy Story 3").candidates == ("toy2",)


def test_candidates_settle_a_shared_title(matcher: Matcher) -> None:
    assert matcher.match("Cape Fear", prefer={"cape62", "seven"}).item_id == "cape62"
    assert matcher.match("Cape Fear", prefer={"cape62", "cape91"}).status == "ambiguous"
    # A likeness is not settled: the candidate may be what was meant, or not.
    assert matcher.match("Toy Story 3", prefer={"toy2"}).status == "ambiguous"


def test_long_sequels_are_no_typos() -> None:
    matcher = Matcher(Catalog([Item("1", "Harry Potter and the Deathly Hallows: Part One")]))
    assert matcher.match("Harry Potter and the Deathly Hallows: Part Two").status == "ambiguous"
    assert matcher.match("Harry Poter and the Deathly Hallows: Part One").status == "match_typo"


def test_a_near_runner_up_forbids_the_typo() -> None:
    matcher = Matcher(Catalog([Item("1", "Journey to Nowhere"), Item("2", "Journey to Nowhero")]))
    assert matcher.match("Journey to Nowherr").status == "ambiguous"


def test_year_attribute_counts_as_the_year() -> None:
    matcher = Matcher(
        Catalog([Item("1", "Sabrina", attributes={"year": 1954}), Item("2", "Sabrina", attributes={"year": "1995"})])
    )
    assert matcher.match("Sabrina (1995)").item_id == "2"


def test_alias_may_lead_to_a_title(catalog: Catalog) -> None:
    assert Matcher(catalog, {"Fish Film": "Finding Nemo"}).match("fish film") == Match("alias", "nemo", score=100.0)


def test_alias_to_nothing_says_so(catalog: Catalog) -> None:
    with pytest.raises(DataError, match=r"'X' leads to 'Findig Nemo'.*did you mean 'Finding Nemo \(2003\)'"):
        Matcher(catalog, {"X": "Findig Nemo"})


_ONCE = Matcher(Catalog(Item(key, title) for key, title in TITLES.items()), ALIASES)


@given(st.text(max_size=60) | st.sampled_from(sorted(TITLES.values())), st.none() | st.integers(-5, 3000))
def test_any_title_gets_a_consistent_match(title: str, year: int | None) -> None:
    found = _ONCE.match(title, year)
    assert (found.item_id is not None) == (found.status in ("match", "alias", "match_typo"))
    assert bool(found.candidates) == (found.status == "ambiguous")
    assert found.item_id is None or found.item_id in TITLES


@given(st.sampled_from(sorted(TITLES)))
def test_every_title_finds_its_item(key: str) -> None:
    assert _ONCE.match(TITLES[key]).item_id == key
