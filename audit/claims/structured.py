"""The first rung: a claim against the row of its item, the history, and nothing else. It knows no likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import get_args

from audit.claims.claim import Claim, Facts, Predicate, Ruling, RungName, Verdict
from audit.claims.columns import Cell, cells, key, named, words_of
from audit.claims.genres import Genres, plain
from audit.claims.history import Past, Titles
from audit.claims.people import one_of, people
from audit.claims.quantities import Range, lengths, number, price, years
from audit.claims.wishes import read_wishes
from audit.grounding.titles import normalise
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
MAX_SHARERS = 8
"""Items of one title that are looked at."""
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


class StructuredRung:
    """Compares with the catalogue's columns and with the request.

    | predicate | supported | contradicted |
    |---|---|---|
    | `year` | equal; off by one with a note, unless `strict_years` | else |
    | `genre` | the row has every genre named, whatever it calls it | it lacks one, and the column is complete |
    | `creator`, `cast` | every name is there; a surname alone is enough | one is not, and the column is complete |
    | `runtime` | within 5 minutes or 5 % | else |
    | `price` | within 1 %, or half a unit if said in whole units | else; in another currency nobody can say |
    | `language`, `series_of`, `award`, `platform`, others | the value is there | it is not, the column is complete |
    | `in_history` | the title is in the user's history | it is not |
    | `user_likes` | something of the kind is in the history, or in the user's note | never |
    | `constraint_ok` | the row meets the wish | it does not |

    “About” doubles a tolerance. A denial (“is no horror film”) is ruled the other way round. A column is complete only
    if `Facts.complete` says so. Where the row has no such column, nothing is decided and the note says so.

    Args:
        strict_years: whether a year that is off by one is wrong.
        columns: further columns by predicate, as `{creator: [imprint]}`; they are asked first.
        synonyms: further names of genres, as `{science fiction: [speculative]}`.

    Raises:
        ValueError: an option cannot be used.
    """

    name: RungName = "structured"

    def __init__(
        self,
        *,
        strict_years: bool = False,
        columns: Mapping[str, Sequence[str]] | None = None,
        synonyms: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        for predicate, names in (columns or {}).items():
            if predicate not in get_args(Predicate):
                raise ValueError(f"columns.{predicate}: there is no such predicate; use {listed(get_args(Predicate))}")
            if isinstance(names, str) or not names:
                raise ValueError(f"columns.{predicate}: {names!r} must be a list of column names")
        for genre, others in (synonyms or {}).items():
            if isinstance(others, str) or not others:
                raise ValueError(f"synonyms.{genre}: {others!r} must be a list of names")
        self.strict_years = strict_years
        self.columns = dict(columns or {})
        self.synonyms = dict(synonyms or {})
        self._of: _Reading | None = None

    def rule(self, claims: list[Claim], facts: Facts) -> list[Ruling | None]:
        """One ruling per claim; with `rung` None, where the catalogue cannot decide, the note says why."""
        reading = self._of
        if reading is None or reading.catalog is not facts.catalog:
            reading = self._of = _Reading(facts.catalog, self.columns, self.synonyms)
        past = Past(facts.request, reading.titles)
        return [self._rule(claim, facts, reading, past) for claim in claims]

    def _rule(self, claim: Claim, facts: Facts, reading: _Reading, past: Past) -> Ruling:
        if claim.predicate == "in_history":
            found = past.holds(claim.object)
            return _ruled(claim, found.inside, found.evidence, "history", found.note)
        if claim.predicate == "user_likes":
            found = past.likes(claim.object, reading.genres)
            return _ruled(claim, found.inside, found.evidence, "history", found.note)
        item = facts.item(claim)
        if item is None:
            return self._one_of_several(claim, facts, reading, past)
        if claim.predicate == "constraint_ok":
            return self._wishes(claim, item, facts, reading, past)
        check = _CHECKS.get(claim.predicate) if not claim.attribute else None
        held = cells(claim, item, facts, self.columns)
        if claim.predicate == "year" and not held and not claim.attribute:
            held = _year_of_title(item)
        if not held:
            return _open(claim, _no_column(claim))
        return (check or _Check.values)(_Check(claim, item, held, reading, self.strict_years))

    def _one_of_several(self, claim: Claim, facts: Facts, reading: _Reading, past: Past) -> Ruling:
        """A title of several items: what holds of each of them holds of the one that was meant."""
        if not claim.subject:
            return _open(claim, "it names no item")
        if claim.item_id is not None or not reading.titles.matcher.knows(claim.subject):
            return _open(claim, "its item is not in the catalogue")
        match = reading.titles.matcher.match(claim.subject)
        if match.item_id is not None:  # whoever extracted the claim had a reason not to take it for this item
            return _open(claim, "it was tied to no item")
        ids = match.candidates
        rulings = [self._rule(replace(claim, item_id=one), facts, reading, past) for one in ids[:MAX_SHARERS]]
        verdicts = {ruling.verdict for ruling in rulings}
        # A year is what tells items of one title apart: if it is that of one of them, that one was meant.
        told = claim.predicate == "year" and claim.polarity and "supported" in verdicts
        if not rulings or len(ids) > MAX_SHARERS or (len(verdicts) > 1 and not told):
            return _open(claim, f"{len(ids)} items of the catalogue have this title")
        best = next(ruling for ruling in rulings if not told or ruling.verdict == "supported")
        return replace(
            best, claim=claim, note="; ".join(filter(None, (best.note, f"{len(ids)} items have this title")))
        )

    def _wishes(self, claim: Claim, item: Item, facts: Facts, reading: _Reading, past: Past) -> Ruling:
        """A wish is a claim of another predicate: that the item meets it."""
        wishes, whole = read_wishes(claim.object, reading.genres)
        rulings = [
            self._rule(
                Claim(
                    wish.predicate, wish.object, claim.subject, claim.item_id, claim.start, claim.end, wish.object,
                    polarity=wish.polarity, approximate=claim.approximate,
                ),
                facts,
                reading,
                past,
            )
            for wish in wishes
        ]  # fmt: skip
        broken = next((ruling for ruling in rulings if ruling.verdict == "contradicted"), None)
        if broken is not None:
            return _ruled(claim, False, broken.evidence, broken.source, broken.note)
        left = next((ruling.note for ruling in rulings if ruling.verdict == "unverifiable"), "")
        if left or not rulings or not whole:
            return _open(claim, left or f"no column can hold {claim.object!r}")
        evidence = "; ".join(dict.fromkeys(ruling.evidence for ruling in rulings))
        return _ruled(claim, True, evidence, rulings[0].source, rulings[0].note)


class _Reading:
    """What is the same for every claim about one catalogue."""

    def __init__(
        self, catalog: Catalog, columns: Mapping[str, Sequence[str]], synonyms: Mapping[str, Sequence[str]]
    ) -> None:
        self.catalog = catalog
        self._columns, self._synonyms = columns, synonyms
        self.titles = Titles(catalog)

    @cached_property
    def genres(self) -> Genres:
        """The genres of this catalogue, by all their names."""
        return Genres(self._synonyms, self.vocabulary)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
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
        return self.genres.held(self.vocabulary)


class _Check:
    """One claim against the cells that may decide it."""

    def __init__(self, claim: Claim, item: Item, held: list[Cell], reading: _Reading, strict: bool) -> None:
        self.claim, self.item, self.held, self.reading, self.strict = claim, item, held, reading, strict

    def year(self) -> Ruling:
        said = years(self.claim.object)
        if said is None:
            return _open(self.claim, f"{self.claim.object!r} names no year")
        cell, known = self._first(lambda value: years(value))
        if cell is None or known is None:
            return _open(self.claim, _no_column(self.claim))
        slack = 0 if self.strict or said.is_open else YEAR_TOLERANCE
        if self.claim.approximate and said.low == said.high:  # a decade is wide enough as it is
            slack = APPROXIMATE * YEAR_TOLERANCE
        return self._measured(cell, said.distance(known), slack, "year")

    def runtime(self) -> Ruling:
        said, bare = lengths(self.claim.object), number(self.claim.object)
        if said is None and bare is not None:  # a field of JSON: the column says of what
            unit = "pages" if any(key(cell.column) in _PAGE_COLUMNS for cell in self.held) else "minutes"
            said = Range(bare, bare, unit)
        if said is None:
            return _open(self.claim, f"{self.claim.object!r} names no length")
        cell, known = self._first(lambda value: lengths(value), said.unit)
        if cell is None or known is None:
            return _open(self.claim, f"the catalogue has no length in {said.unit}")
        slack = max(MINUTES if said.unit == "minutes" else PAGES, SHARE * known.high)
        return self._measured(cell, said.distance(known), self._slack(said, slack), said.unit.removesuffix("s"))

    def price(self) -> Ruling:
        said = price(self.claim.object)
        if said is None:
            return _open(self.claim, f"{self.claim.object!r} names no price")
        cell, known = self._first(lambda value: price(value))
        if cell is None or known is None:
            return _open(self.claim, "the catalogue's price cannot be read")
        if said.unit and known.unit and said.unit != known.unit:
            return _open(self.claim, "the catalogue's price is in another currency")
        whole = said.low == said.high and said.low.is_integer() and said.low > 0
        slack = max(PRICE_SHARE * known.high, ROUNDED if whole else 0.0)
        if self.claim.approximate:
            slack = max(slack, MINUTES / 100 * known.high)
        return self._measured(cell, said.distance(known), self._slack(said, slack), "")

    def genre(self) -> Ruling:
        said = self.reading.genres.named(self.claim.object)
        values = [part for cell in self.held for part in _genre_parts(cell.values)]
        held = self.reading.genres.held(values)
        whole = plain(self.claim.object)
        if whole in {plain(value) for value in values} or (said.genres and not said.unknown and said.genres <= held):
            return self._found(True, self.held[0])
        if not said.genres or (said.unknown and (said.genres <= held or self.reading.genres.turned(said))):
            return _open(self.claim, f"{self.claim.object!r} is no genre that the catalogue uses")
        lacking = said.genres - held
        # A genre that the catalogue never uses cannot be lacking from a row of it; a kind of a genre is lacking only
        # where the genre itself is.
        widest = {self.reading.genres.wider(genre) or genre for genre in lacking}
        sure = {genre for genre in widest & self.reading.used if genre not in held}
        complete = all(cell.complete for cell in self.held)
        if not sure:
            return _open(self.claim, f"the catalogue does not tell {listed(sorted(lacking))} apart")
        if not complete:
            return self._open_set(complete, f"{listed(sorted(lacking))} is not among its genres")
        return self._found(False, self.held[0], f"{listed(sorted(sure))} is not among its genres")

    def persons(self) -> Ruling:
        said = people(self.claim.object)
        known = [name for cell in self.held for value in cell.values for name in people(value)]
        if not said:
            return _open(self.claim, f"{self.claim.object!r} names nobody")
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
            return _open(self.claim, f"{self.claim.object!r} says nothing that can be compared")
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
        return _ruled(self.claim, inside, evidence, f"item:{self.item.id}", note)

    def _open_set(self, complete: bool, note: str) -> Ruling:
        columns = listed([cell.column for cell in self.held])
        return _open(self.claim, note if complete else f"{note}, and {columns} need not list all")


_CHECKS: Mapping[str, Callable[[_Check], Ruling]] = {
    "year": _Check.year,
    "runtime": _Check.runtime,
    "price": _Check.price,
    "genre": _Check.genre,
    "creator": _Check.persons,
    "cast": _Check.persons,
}


def _ruled(claim: Claim, inside: bool | None, evidence: str, source: str, note: str) -> Ruling:
    if inside is None:
        return _open(claim, note)
    verdict: Verdict = "supported" if inside == claim.polarity else "contradicted"
    return Ruling(claim, verdict, "structured", evidence, source, note)


def _open(claim: Claim, note: str) -> Ruling:
    return Ruling(claim, "unverifiable", None, note=note)


def _no_column(claim: Claim) -> str:
    if claim.attribute:
        return f"the catalogue has no {claim.attribute} of it"
    return f"the catalogue has no {claim.predicate} of it" if named(claim.predicate) else "no column can hold this"


def _year_of_title(item: Item) -> list[Cell]:
    year = normalise(item.title).year
    return [] if year is None else [Cell("title", (str(year),), True)]


def _genre_parts(values: Sequence[str]) -> list[str]:
    return [part for value in values for piece in value.split(",") for part in piece.split("|") if part.strip()]
