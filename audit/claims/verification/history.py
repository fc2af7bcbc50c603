"""What the user has had, as claims speak of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from audit.claims.columns import key, named, parts
from audit.claims.verification.genres import Genres, plain
from audit.claims.verification.people import one_of, people
from audit.grounding.matcher import Matcher
from audit.grounding.titles import normalise, numbers
from audit.types import Catalog, Item, Request

SHOWN = 8
"""Titles of a history that are shown as evidence."""


@dataclass(frozen=True)
class Found:
    """Whether something is in the history; `inside` is None where that cannot be said."""

    inside: bool | None
    evidence: str = ""
    note: str = ""


class Titles:
    """The titles of a catalogue, indexed when they are first asked for."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    @cached_property
    def matcher(self) -> Matcher:
        """Titles to ids."""
        return Matcher(self.catalog)


class Past:
    """The history of one request.

    Args:
        request: whose user.
        titles: of the catalogue, by which titles that are in no history are told.
    """

    def __init__(self, request: Request, titles: Titles) -> None:
        self.request = request
        unique = {event.item.id: event.item for event in request.user.history}
        self.items: tuple[Item, ...] = tuple(unique.values())
        self._titles = titles

    def holds(self, title: str) -> Found:
        """Whether a title is that of an item of the history.

        The beginning of a longer title is that title (`Lord of the Rings`), unless the catalogue has it itself; what is
        near a title of the history, or goes on where one ends, is left open.
        """
        match = self._own.match(title)
        ids = (match.item_id,) if match.item_id is not None else match.candidates if match.score == 100.0 else ()
        mine = next((item for item in self.items if item.id in ids), None)
        if mine is not None and not match.year_conflict:
            return Found(True, f"history: {mine.title}", "misspelled" if match.status == "match_typo" else "")
        other = self._titles.matcher.match(title)
        if other.item_id is not None and not other.year_conflict:
            return Found(
                False, self._shown, f"it is {self._titles.catalog[other.item_id].title}, which the history lacks"
            )
        if mine is not None:
            return Found(True, f"history: {mine.title}", "of another year")
        text = normalise(title).text
        for item in self.items:
            own = normalise(item.title).text
            if _goes_on(text, own):
                return Found(True, f"history: {item.title}", "its title begins so")
            if _goes_on(own, text):
                return Found(None, note=f"it may be {item.title!r} of the history")
        if match.status == "ambiguous":
            near = next((item.title for item in self.items if item.id in match.candidates), "")
            return Found(None, note=f"near {near!r} of the history")
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

    @cached_property
    def _own(self) -> Matcher:
        return Matcher(Catalog(self.items))

    @property
    def _shown(self) -> str:
        titles = [item.title for item in self.items]
        more = f" and {len(titles) - SHOWN} more" if len(titles) > SHOWN else ""
        return f"history: {', '.join(titles[-SHOWN:])}{more}" if titles else "history: empty"


def _goes_on(short: str, long: str) -> bool:
    """Whether a title goes on where another ends, and not with a number: a sequel is another item."""
    if len(short) < 3 or not long.startswith(f"{short} "):
        return False
    following = long[len(short) :].split()[0]
    return following not in ("part", "vol", "volume", "chapter", "and") and not numbers(following)


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
