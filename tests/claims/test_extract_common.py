"""The shapes in which recommenders say things of items, and what is read from each."""

from __future__ import annotations

import pytest

from audit.claims.claim import Claim
from audit.claims.extract import extract
from audit.grounding import Grounder
from audit.types import Catalog, Event, Item, Request, User

FILMS = Catalog(
    [
        Item(
            "heat", "Heat (1995)", attributes={"year": 1995, "genres": ("Crime", "Drama"), "director": "Michael Mann"}
        ),
        Item("alien", "Alien (1979)", attributes={"year": 1979, "genres": ("Horror", "Sci-Fi"), "studio": "Fox"}),
        Item("fargo", "Fargo (1996)", attributes={"year": 1996, "genres": ("Comedy", "Crime"), "country": "USA"}),
        Item("net", "Net, The (1995)", attributes={"year": 1995, "genres": ("Sci-Fi", "Thriller")}),
        Item("story", "Toy Story (1995)", attributes={"year": 1995, "genres": ("Animation", "Children's")}),
    ]
)
GROUNDER = Grounder(FILMS)
REQUEST = Request(User("u", (Event(FILMS["story"]),)), task="answer", k=3)


def said(text: str) -> list[tuple[str, str, str | None]]:
    """Predicate, object and item of every claim."""
    return [(c.predicate, c.object, c.item_id) for c in extract(text, REQUEST, GROUNDER)]


def only(text: str, predicate: str) -> Claim:
    """The one claim of a predicate."""
    (found,) = [c for c in extract(text, REQUEST, GROUNDER) if c.predicate == predicate]
    return found


@pytest.mark.parametrize(
    "text",
    [
        "1. Heat (1995) - A crime film directed by Michael Mann.\n2. Alien (1979) - It is a horror film.",
        '"Heat" (1995) is a crime film. It was directed by Michael Mann. I also suggest "Alien" (1979), a horror film.',
        '[{"title": "Heat", "year": 1995, "genre": "crime", "director": "Michael Mann"},\n'
        ' {"title": "Alien", "year": 1979, "reason": "It is a horror film."}]',
        "| Title | Year | Genre | Director |\n|---|---|---|---|\n| Heat | 1995 | crime | Michael Mann |\n"
        "| Alien | 1979 | horror | |",
        "**Heat** (1995)\n- Genre: crime\n- Director: Michael Mann\n\n**Alien** (1979)\n- Genre: horror",
    ],
    ids=["list", "prose", "json", "table", "labels"],
)
def test_every_way_of_writing_gives_the_same_claims(text: str) -> None:
    assert sorted(said(text), key=str) == [
        ("creator", "Michael Mann", "heat"),
        ("genre", "crime", "heat"),
        ("genre", "horror", "alien"),
        ("year", "1979", "alien"),
        ("year", "1995", "heat"),
    ]
