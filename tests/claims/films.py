"""Five films and a user, for tests of what is read from answers."""

from __future__ import annotations

from audit.claims.claim import Claim
from audit.claims.extraction.extract import extract
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
        Item("lucy", "If Lucy Fell (1996)", attributes={"year": 1996, "genres": ("Comedy", "Romance")}),
    ]
)
GROUNDER = Grounder(FILMS)
REQUEST = Request(User("u", (Event(FILMS["story"]),)), task="answer", k=3)


def claims(text: str) -> list[Claim]:
    """What is read."""
    return extract(text, REQUEST, GROUNDER)


def said(text: str) -> list[tuple[str, str, str | None]]:
    """Predicate, object and item of every claim."""
    return [(c.predicate, c.object, c.item_id) for c in claims(text)]
