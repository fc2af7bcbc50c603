"""Where a request can be disturbed: the words a target reads and the events of the history.

CheatAgent and its rivals share these units. A place is a word or an event of the clean request; a word is inserted
before it, an item after it, so that every place is "next to" what it names and the end of the history can be reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audit.attack import Edits, writable_text
from audit.edits import Edit, HistoryDrop, HistoryInsert, TextEdit, read_text
from audit.target import Input, TargetInfo
from audit.types import Catalog, Event, Item, Request


@dataclass(frozen=True)
class Place:
    """A word of a text field, or an event of the history.

    Attributes:
        kind: what can be inserted there.
        field: the text field, or `history`.
        start: first character of the word, or index of the event.
        end: one past its last character, or one past the event; equal to `start` where the history is empty.
    """

    kind: Literal["word", "item"]
    field: str
    start: int
    end: int


def word_places(request: Request, info: TargetInfo) -> list[Place]:
    """The words of every text field that the target reads and an adversary can reach, in reading order."""
    return [
        Place("word", field, match.start(), match.end())
        for field in writable_text(request, info)
        for match in re.finditer(r"\S+", read_text(request, field))
    ]


def item_places(request: Request, info: TargetInfo) -> list[Place]:
    """The events of the history, oldest first; one place before nothing where the history is empty."""
    if Input.HISTORY not in info.honours:
        return []
    count = len(request.user.history)
    return [Place("item", "history", i, i + 1) for i in range(count)] or [Place("item", "history", 0, 0)]


def masked(place: Place, request: Request) -> Edits:
    """The edits that take the word (with one neighbouring space) or the event away."""
    if place.kind == "item":
        return (HistoryDrop(place.start),) if place.end > place.start else ()
    text = read_text(request, place.field)
    start, end = place.start, place.end
    if end < len(text) and text[end] == " ":
        end += 1
    elif start > 0 and text[start - 1] == " ":
        start -= 1
    return (TextEdit(place.field, start, end, ""),)


def insertion(place: Place, what: str | Item, request: Request) -> Edit:
    """The edit that puts a word before the place, or an item after it.

    An inserted event carries the rating of its neighbour, so that it joins the list (liked, disliked) it stands in.
    """
    if isinstance(what, str):
        return TextEdit(place.field, place.start, place.start, f"{what} ")
    history = request.user.history
    neighbour = history[min(place.start, len(history) - 1)] if history else None
    return HistoryInsert(place.end, Event(what, neighbour.rating if neighbour else None))


def in_order(inserted: Iterable[tuple[Place, Edit]]) -> Edits:
    """Edits at several places of one clean request as one list: from the highest position down, so that none drifts."""
    pairs = sorted(inserted, key=lambda pair: (pair[0].field, -pair[0].start))
    return tuple(edit for _, edit in pairs)


def insertable(catalog: Catalog, avoid: Iterable[str], request: Request) -> list[Item]:
    """Catalogue items that may be inserted: not in the history, not among the candidates, not in `avoid`."""
    taken = _taken(avoid, request)
    return [item for item in catalog.items_in_order if item.id not in taken]


def draw_items(
    catalog: Catalog, avoid: Iterable[str], request: Request, count: int, rng: np.random.Generator
) -> list[Item]:
    """`count` different items that may be inserted, at random; fewer where the catalogue has no more to offer."""
    taken, items = _taken(avoid, request), catalog.items_in_order
    if len(items) < 2 * (len(taken) + count):
        free = [item for item in items if item.id not in taken]
        return [free[i] for i in rng.permutation(len(free))[:count].tolist()]
    drawn: dict[int, Item] = {}
    while len(drawn) < count:  # most of the catalogue is free, so few draws are lost
        index = int(rng.integers(len(items)))
        if items[index].id not in taken:
            drawn[index] = items[index]
    return list(drawn.values())


def _taken(avoid: Iterable[str], request: Request) -> set[str]:
    return {*avoid, *(e.item.id for e in request.user.history), *(c.id for c in request.candidates or ())}


def title_words(items: Sequence[Item]) -> list[str]:
    """The distinct words of two letters or more of these items' titles, sorted: a vocabulary any seller would use."""
    return sorted({word for item in items for word in re.findall(r"[^\W\d_]{2,}", item.title)})
