"""What the user has had, as claims speak of it."""

from __future__ import annotations

from dataclasses import dataclass

from audit.claims.columns import key, named, parts
from audit.claims.genres import Genres, plain
from audit.claims.people import one_of, people
from audit.grounding.matcher import Matcher
from audit.grounding.titles import normalise
from audit.types import Catalog, Item, Request

SHOWN = 8
"""Titles of a history that are shown as evidence."""
_FRANCHISE_WORDS = 2


@dataclass(frozen=True)
class Found:
    """Whether something is in the history; `inside` is None where that cannot be said."""

    inside: bool | None
    evidence: str = ""
    note: str = ""


class Past:
    """The history of one request.

    Args:
        request: whose user.
        catalog: by which titles that are in no history are told.
        earlier: of another request about the same catalogue, whose index of titles is used again.
    """

    def __init__(self, request: Request, catalog: Catalog, earlier: Past | None = None) -> None:
        self.request = request
        unique = {event.item.id: event.item for event in request.user.history}
        self.items: tuple[Item, ...] = tuple(unique.values())
        self._own = Matcher(Catalog(self.items))
        self._catalog = catalog
        self._all: list[Matcher] = earlier._all if earlier is not None and earlier._catalog is catalog else []

    def holds(self, title: str) -> Found:
        """Whether a title is that of an item of the history.

        A title near one of the history and no other item's is left open; one that begins a longer title is that title
        (`Star Wars`), unless the catalogue has it itself.
        """
        match = self._own.match(title)
        ids = (match.item_id,) if match.item_id is not None else match.candidates if match.score == 100.0 else ()
        mine = next((item for item in self.items if item.id in ids), None)
        other = None if mine is not None and not match.year_conflict else self._everywhere.match(title)
        if mine is not None and (other is None or other.year_conflict or not other.found):
            note = "of another year" if match.year_conflict else "misspelled" if match.status == "match_typo" else ""
            return Found(True, f"history: {mine.title}", note)
        if other is not None and other.found and not other.year_conflict:
            return Found(False, self._shown, f"it is {other.item_id!r}, which the history lacks")
        text = normalise(title).text
        longer = [item for item in self.items if f" {normalise(item.title).text} ".startswith(f" {text} ")]
        if longer and len(text) > 2:
            return Found(True, f"history: {longer[0].title}", "its title begins so")
        if match.status == "ambiguous":
            near = next((item for item in self.items if item.id in match.candidates), None)
            return Found(None, note=f"near {near.title!r} of the history" if near else "")
        return Found(False, self._shown, "" if self.items else "the history is empty")

    def likes(self, said: str, genres: Genres) -> Found:
        """Whether something of a kind is in the history: a title, a genre, a person; or in the user's own words."""
        words = plain(said)
        if words and f" {words} " in f" {plain(self.request.user.note)} ":
            return Found(True, f"note: {self.request.user.note}", "in the user's own words")
        wanted = genres.named(said)
        if wanted.genres and not wanted.unknown:
            having = [item for item in self.items if wanted.genres <= genres.held(_values(item, "genre"))]
        else:
            match = self._own.match(said)
            having = [item for item in self.items if item.id == match.item_id] or [
                item for item in self.items if _made_by(said, item)
            ]
        if not having:
            return Found(None, note="nothing in the history shows it")
        shown = ", ".join(item.title for item in having[:SHOWN])
        return Found(True, f"history: {shown}", f"{len(having)} of {len(self.items)} items of the history")

    @property
    def _everywhere(self) -> Matcher:
        if not self._all:
            self._all.append(Matcher(self._catalog))
        return self._all[0]

    @property
    def _shown(self) -> str:
        titles = [item.title for item in self.items]
        more = f" and {len(titles) - SHOWN} more" if len(titles) > SHOWN else ""
        return f"history: {', '.join(titles[-SHOWN:])}{more}" if titles else "history: empty"


def _values(item: Item, predicate: str) -> list[str]:
    wanted = {key(name) for name in named(predicate)}
    return [
        piece
        for name, value in item.attributes.items()
        if key(name) in wanted
        for part in parts(value)
        for piece in part.split(",")
    ]


def _made_by(said: str, item: Item) -> bool:
    wanted = {key(name) for predicate in ("creator", "cast", "series_of") for name in named(predicate)}
    names = [n for c, value in item.attributes.items() if key(c) in wanted for v in parts(value) for n in people(v)]
    return bool(names) and any(one_of(one, names)[0] == "same" for one in people(said))
