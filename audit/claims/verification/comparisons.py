"""A claim against the cells of a row that may decide it: how far off a number may be, and what a set must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from audit.claims.claim import Claim, Ruling, Verdict
from audit.claims.columns import Cell, key, named, words_of
from audit.claims.verification.genres import Genres, plain
from audit.claims.verification.people import one_of, people
from audit.claims.verification.quantities import Range, lengths, number, price, years
from audit.knowledge.document import value_in_words
from audit.text import listed
from audit.types import Catalog, Item

YEAR_TOLERANCE = 1
"""Years: the festival and the release of one film are often a year apart."""
MINUTES = 5.0
SHARE = 0.05
"""A length is right within so many minutes or this share of it, whichever is more."""
PRICE_SHARE = 0.01
ROUNDED = 0.5
"""A price said in whole units is right within half of one."""
PAGES = 5.0
APPROXIMATE = 2
"""What is said to be about so much may be off by twice as much."""

_MINUTE_COLUMNS = (
    "runtime",
    "runtime_minutes",
    "running_time",
    "duration",
    "duration_minutes",
    "minutes",
    "length_minutes",
)
_SERIES_WORDS = frozenset("series saga franchise trilogy collection universe cycle sequence quadrilogy".split())
_PAGE_COLUMNS = ("pages", "page_count", "num_pages", "number_of_pages")


class Vocabulary:
    """The genres of one catalogue, read when they are first asked for.

    Args:
        catalog: the items.
        columns: further columns by predicate.
        synonyms: further names of genres.
    """

    def __init__(
        self, catalog: Catalog, columns: Mapping[str, Sequence[str]], synonyms: Mapping[str, Sequence[str]]
    ) -> None:
        self.catalog = catalog
        self._columns, self._synonyms = columns, synonyms

    @cached_property
    def genres(self) -> Genres:
        """The genres of this catalogue, by all their names."""
        return Genres(self._synonyms, self.words)

    @cached_property
    def words(self) -> frozenset[str]:
        """The values of its columns of genres."""
        wanted = {key(name) for name in (*self._columns.get("genre", ()), *named("genre"))}
        return frozenset(
            part.strip()
            for item in self.catalog.items_in_order
            for name, value in item.attributes.items()
            if key(name) in wanted
            for part in _genre_parts(value if isinstance(value, tuple) else (str(value),))
        )

    @cached_property
    def used(self) -> frozenset[str]:
        """The genres that the catalogue uses at all."""
        return self.genres.held(self.words)


class Comparison:
    """One claim against the cells that may decide it."""

    def __init__(self, claim: Claim, item: Item, held: list[Cell], vocabulary: Vocabulary, strict: bool) -> None:
        self.claim, self.item, self.held, self.vocabulary, self.strict = claim, item, held, vocabulary, strict

    def year(self) -> Ruling:
        """Years, within `YEAR_TOLERANCE`."""
        said = years(self.claim.object)
        if said is None:
            return left_open(self.claim, f"{self.claim.object!r} names no year")
        cell, known = self._first(years)
        if cell is None or known is None:
            return left_open(self.claim, no_column(self.claim))
        slack = 0 if self.strict or said.is_open else YEAR_TOLERANCE
        if self.claim.approximate and said.low == said.high:  # a decade is wide enough as it is
            slack = APPROXIMATE * YEAR_TOLERANCE
        return self._measured(cell, said.distance(known), slack, "year")

    def runtime(self) -> Ruling:
        """Minutes or pages."""
        said, bare = lengths(self.claim.object), number(self.claim.object)
        if said is None and bare is not None:  # a field of JSON: the column says of what
            unit = "pages" if any(key(cell.column) in _PAGE_COLUMNS for cell in self.held) else "minutes"
            said = Range(bare, bare, unit)
        if said is None:
            return left_open(self.claim, f"{self.claim.object!r} names no length")
        cell, known = self._first(lengths, said.unit)
        if cell is None or known is None:
            return left_open(self.claim, f"the catalogue has no length in {said.unit}")
        slack = max(MINUTES if said.unit == "minutes" else PAGES, SHARE * known.high)
        return self._measured(cell, said.distance(known), self._slack(said, slack), said.unit.removesuffix("s"))

    def price(self) -> Ruling:
        """Prices of one currency."""
        said = price(self.claim.object)
        if said is None:
            return left_open(self.claim, f"{self.claim.object!r} names no price")
        cell, known = self._first(price)
        if cell is None or known is None:
            return left_open(self.claim, "the catalogue's price cannot be read")
        if said.unit and known.unit and said.unit != known.unit:
            return left_open(self.claim, "the catalogue's price is in another currency")
        whole = said.low == said.high and said.low.is_integer() and said.low > 0
        slack = max(PRICE_SHARE * known.high, ROUNDED if whole else 0.0)
        if self.claim.approximate:
            slack = max(slack, SHARE * known.high)
        return self._measured(cell, said.distance(known), self._slack(said, slack), "")

    def genre(self) -> Ruling:
        """Genres, by all their names."""
        said = self.vocabulary.genres.named(self.claim.object)
        values = [part for cell in self.held for part in _genre_parts(cell.values)]
        held = self.vocabulary.genres.held(values)
        whole = plain(self.claim.object)
        if whole in {plain(value) for value in values} or (said.genres and not said.unknown and said.genres <= held):
            return self._found(True, self.held[0])
        if not said.genres or (said.unknown and (said.genres <= held or self.vocabulary.genres.turned(said))):
            return left_open(self.claim, f"{self.claim.object!r} is no genre that the catalogue uses")
        lacking = said.genres - held
        # A genre that the catalogue never uses cannot be lacking from a row of it; a kind of a genre is lacking only
        # where the genre itself is.
        widest = {self.vocabulary.genres.wider(genre) or genre for genre in lacking}
        sure = {genre for genre in widest & self.vocabulary.used if genre not in held}
        complete = all(cell.complete for cell in self.held)
        if not sure:
            return left_open(self.claim, f"the catalogue does not tell {listed(sorted(lacking))} apart")
        if not complete:
            return self._open_set(complete, f"{listed(sorted(lacking))} is not among its genres")
        return self._found(False, self.held[0], f"{listed(sorted(sure))} is not among its genres")

    def persons(self) -> Ruling:
        """Names of people."""
        said = people(self.claim.object)
        known = [name for cell in self.held for value in cell.values for name in people(value)]
        if not said:
            return left_open(self.claim, f"{self.claim.object!r} names nobody")
        found = [one_of(name, known) for name in said]
        missing = [name for name, (likeness, _) in zip(said, found, strict=True) if likeness == "other"]
        if not missing:
            by_surname = any(likeness == "surname" for likeness, _ in found)
            cell = next((c for c in self.held if any(one_of(said[0], people(v))[0] != "other" for v in c.values)), None)
            return self._found(True, cell or self.held[0], "by surname" if by_surname else "")
        complete = all(cell.complete for cell in self.held)
        note = f"{listed(missing)} is not there"
        return self._found(False, self.held[0], note) if complete else self._open_set(complete, note)

    def values(self) -> Ruling:
        """Any other column: a number is compared as one, a text by its words."""
        read = _SERIES_WORDS if self.claim.predicate == "series_of" else frozenset[str]()
        said, numbered = words_of(self.claim.object) - read, number(self.claim.object)
        if not said:
            return left_open(self.claim, f"{self.claim.object!r} says nothing that can be compared")
        for cell in self.held:
            for value in cell.values:
                known, figure = words_of(value) - read, number(value)
                if numbered is not None and figure is not None:
                    if math.isclose(numbered, figure):
                        return self._found(True, cell)
                elif said == known:
                    return self._found(True, cell)
                elif not read and (said < known or (known < said and len(known) > 1)):
                    # `Academy Award` and `Academy Award for Best Picture`: one says no more than the other.
                    return self._found(True, cell, "in part")
        note = f"{self.claim.object!r} is not there"
        complete = all(cell.complete for cell in self.held)
        return self._found(False, self.held[0], note) if complete else self._open_set(complete, note)

    def _first(self, read: Callable[[str], Range | None], unit: str = "") -> tuple[Cell | None, Range | None]:
        """The first cell that can be read as a quantity of this unit."""
        for cell in self.held:
            columns = {"minutes": _MINUTE_COLUMNS, "pages": _PAGE_COLUMNS}.get(unit)
            for value in cell.values:
                known = read(value)
                bare = number(value)
                if known is None and bare is not None and columns is not None and key(cell.column) in columns:
                    known = Range(bare, bare, unit)
                if known is not None and (not unit or known.unit == unit):
                    return cell, known
        return None, None

    def _slack(self, said: Range, slack: float) -> float:
        """A limit (“under two hours”) is exact unless it is softened."""
        if said.is_open:
            return slack if self.claim.approximate else 0.0
        return APPROXIMATE * slack if self.claim.approximate else slack

    def _measured(self, cell: Cell, distance: float, slack: float, unit: str) -> Ruling:
        if distance > slack:
            return self._found(False, cell)
        off = f"{distance:g} {unit}{'' if distance == 1 else 's'}".strip() if unit else f"{distance:g}"
        return self._found(True, cell, f"off by {off}" if distance else "")

    def _found(self, inside: bool, cell: Cell, note: str = "") -> Ruling:
        evidence = f"{self.item.title}: {cell.column} {value_in_words(cell.values)}"
        return ruled(self.claim, inside, evidence, f"item:{self.item.id}", note)

    def _open_set(self, complete: bool, note: str) -> Ruling:
        columns = listed([cell.column for cell in self.held])
        return left_open(self.claim, note if complete else f"{note}, and {columns} need not list all")


CHECKS: Mapping[str, Callable[[Comparison], Ruling]] = {
    "year": Comparison.year,
    "runtime": Comparison.runtime,
    "price": Comparison.price,
    "genre": Comparison.genre,
    "creator": Comparison.persons,
    "cast": Comparison.persons,
}


def ruled(claim: Claim, inside: bool | None, evidence: str, source: str, note: str) -> Ruling:
    """A ruling by whether a claim's object is there; None leaves it open."""
    if inside is None:
        return left_open(claim, note)
    verdict: Verdict = "supported" if inside == claim.polarity else "contradicted"
    return Ruling(claim, verdict, "structured", evidence, source, note)


def left_open(claim: Claim, note: str) -> Ruling:
    """What the next rung may try, and why."""
    return Ruling(claim, "unverifiable", None, note=note)


def no_column(claim: Claim) -> str:
    """Why a row cannot decide a claim."""
    if claim.attribute:
        return f"the catalogue has no {claim.attribute} of it"
    return f"the catalogue has no {claim.predicate} of it" if named(claim.predicate) else "no column can hold this"


def _genre_parts(values: Sequence[str]) -> list[str]:
    return [part for value in values for piece in value.split(",") for part in piece.split("|") if part.strip()]
