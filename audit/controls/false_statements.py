"""Plants of hallucination: titles, facts, pasts and citations that are made up at a known rate, and unread passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audit.claims.benchmark.drafts import bare_title
from audit.controls.wrapping import Text, chance, declared
from audit.target import Input, Recommender
from audit.types import Answer, Catalog, Item, Ranked, Request

OFF_BY = 20
"""Years between a true year and a false one: beyond what counts as about right."""
_SYLLABLES = ("zyx", "quor", "blen", "vant", "drix", "moff", "plug", "snee")


class MadeUpTitles:
    """Each title of a ranking is, with chance `size`, one that nothing has.

    Places are drawn independently and the base names items of the catalogue only, so the expected share of made-up
    titles is `size`, whatever the base ranks and however long its lists are. The titles are words of no language, so
    that none lies near a title that exists.

    Args:
        base: that is wrapped.
        size: chance of a title to be made up.
        salt: of the draws.
    """

    def __init__(self, base: Recommender, size: float, salt: str) -> None:
        self.base, self.size, self.salt = base, size, salt
        self.info = declared(base, "made-up titles")

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """The base's answers, some entries exchanged."""
        return [
            replace(answer, ranked=tuple(self._entry(request, place, one) for place, one in enumerate(answer.ranked)))
            if request.task == "rank"
            else answer
            for request, answer in zip(requests, self.base.recommend(requests), strict=True)
        ]

    def _entry(self, request: Request, place: int, entry: Ranked) -> Ranked:
        if chance(self.salt, "made up", request.user.id, place) >= self.size:
            return entry
        return Ranked(None, made_up_title(self.salt, request.user.id, place))


def made_up_title(*names: object) -> str:
    """Three words of no language, by names."""
    drawn = [int(chance("syllable", n, *names) * len(_SYLLABLES)) for n in range(6)]
    words = ["".join(_SYLLABLES[i] for i in drawn[n : n + 2]) for n in (0, 2, 4)]
    return " ".join(words).title()


def years(size: float, salt: str, *, unread: float = 1.0) -> Text:
    """Says in which year each recommended item came out, false with chance `size`.

    One claim is made per item, and each is false independently of all others, so the expected share of contradicted
    claims is `size`. Items without a year are recommended without a claim.

    Args:
        size: chance of a year to be false.
        salt: of the draws.
        unread: chance that passages before the request are not read: where they are, the year is right. With none read
            (1) passages change nothing; retrieval takes `size` · (1 - `unread`) from the share of false claims.
    """

    def text(request: Request, items: Sequence[Item]) -> str:
        lines = []
        for place, item in enumerate(items, start=1):
            names = (salt, request.user.id, item.id)
            false = chance("false", *names) < size
            if request.passages and chance("unread", *names) >= unread:
                false = False
            year = year_of(item)
            said = "" if year is None else f" - It came out in {year + OFF_BY * false}."
            lines.append(f"{place}. {bare_title(item.title)}{said}")
        return "\n".join(lines)

    return text


def conflicts(size: float, salt: str, catalog: Catalog) -> Text:
    """Says in which year each item of its passages came out, which with chance `size` is not what the passage says.

    One claim is made per passage, each false independently of all others, and each can be decided by the passage, since
    that is the item's row: the expected share of claims that the passages contradict is `size`.

    Args:
        size: chance of a year to be false.
        salt: of the draws.
        catalog: the items that passages are about.
    """

    def text(request: Request, items: Sequence[Item]) -> str:
        lines = []
        for passage in request.passages:
            item = catalog.get(passage.id.removeprefix("item:"))
            year = None if item is None else year_of(item)
            if item is not None and year is not None:
                false = chance(salt, "conflict", request.user.id, item.id) < size
                lines.append(f"- {bare_title(item.title)} - It came out in {year + OFF_BY * false}.")
        return "\n".join(lines)

    return text


def citations(size: float, salt: str) -> Text:
    """Cites one of its passages for each recommended item, with chance `size` by a number that none has.

    One citation is made per item, each fabricated independently of all others, and every answer has as many: the
    expected share of fabricated citations is `size`, over answers as over citations.
    """

    def text(request: Request, items: Sequence[Item]) -> str:
        given = len(request.passages)
        lines = []
        for place, item in enumerate(items):
            real = 1 + place % max(1, given)
            number = real + given if chance(salt, "cited", request.user.id, item.id) < size else real
            lines.append(f"- {bare_title(item.title)} is close to what you had [{number}].")
        return "\n".join(lines)

    return text


def genres(size: float, salt: str, catalog: Catalog) -> Text:
    """Says of each recommended item what genre it is of, with chance `size` one that it is not of.

    One claim is made per item, and each is false independently of all others, so the expected share of contradicted
    claims is `size`, where the catalogue is held to list all genres of an item. Items without a genre, and those that
    are of all there are, are recommended without a claim.

    Args:
        size: chance of a genre to be false.
        salt: of the draws.
        catalog: where the genres that there are come from.
    """
    known = sorted({genre for item in catalog.items_in_order for genre in genres_of(item)})

    def text(request: Request, items: Sequence[Item]) -> str:
        lines = []
        for place, item in enumerate(items, start=1):
            own = genres_of(item)
            others = [genre for genre in known if genre not in own]
            names = (salt, request.user.id, item.id)
            false = chance("false genre", *names) < size
            said = ""
            if own and others:
                genre = others[int(chance("which", *names) * len(others))] if false else own[0]
                said = f" - It is {'an' if genre[0] in 'AEIOU' else 'a'} {genre.lower()} film."
            lines.append(f"{place}. {bare_title(item.title)}{said}")
        return "\n".join(lines)

    return text


def pasts(size: float, salt: str) -> Text:
    """Recommends one item because of something in the user's history, which with chance `size` is not there.

    One such claim is made per answer, so the expected share of invented ones is `size`. What is invented is an item
    of the catalogue that the base recommends, hence none of the history.
    """

    def text(request: Request, items: Sequence[Item]) -> str:
        had = {event.item.id for event in request.user.history}
        first, *others = [item for item in items if item.id not in had]
        invented = chance(salt, "past", request.user.id) < size or not request.user.history
        said = others[0] if invented else request.user.history[-1].item
        return because(said, first)

    return text


def because(reason: Item, recommended: Item) -> str:
    """One sentence that gives an item as the reason for another."""
    return f'Since you liked "{bare_title(reason.title)}", you should try "{bare_title(recommended.title)}".'


def year_of(item: Item) -> int | None:
    """The year that the catalogue has of an item; None where it has none."""
    year = item.attributes.get("year")
    return int(year) if isinstance(year, int | float) else None


def genres_of(item: Item) -> tuple[str, ...]:
    """The genres that the catalogue has of an item."""
    found = item.attributes.get("genres", ())
    return found if isinstance(found, tuple) else (str(found),)


READS_PASSAGES = frozenset({Input.PASSAGES})
