"""The first rung: a claim against the row of its item, the history, and nothing else. It knows no likelihood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from audit.claims.claim import Claim, Facts, Predicate, Ruling, RungName
from audit.claims.columns import Cell, cells
from audit.claims.verification.comparisons import CHECKS, Comparison, Vocabulary, left_open, no_column, ruled
from audit.claims.verification.history import Past, Titles
from audit.claims.verification.wishes import read_wishes
from audit.grounding.titles import normalise
from audit.text import listed
from audit.types import Catalog, Item

MAX_SHARERS = 8
"""Items of one title that are looked at."""


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
            return ruled(claim, found.inside, found.evidence, "history", found.note)
        if claim.predicate == "user_likes":
            found = past.likes(claim.object, reading.vocabulary.genres)
            return ruled(claim, found.inside, found.evidence, "history", found.note)
        item = facts.item(claim)
        if item is None:
            return self._one_of_several(claim, facts, reading, past)
        if claim.predicate == "constraint_ok":
            return self._wishes(claim, item, facts, reading, past)
        check = CHECKS.get(claim.predicate) if not claim.attribute else None
        held = cells(claim, item, facts, self.columns)
        if claim.predicate == "year" and not held and not claim.attribute:
            held = _year_of_title(item)
        if not held:
            return left_open(claim, no_column(claim))
        return (check or Comparison.values)(Comparison(claim, item, held, reading.vocabulary, self.strict_years))

    def _one_of_several(self, claim: Claim, facts: Facts, reading: _Reading, past: Past) -> Ruling:
        """A title of several items: what holds of each of them holds of the one that was meant."""
        if not claim.subject:
            return left_open(claim, "it names no item")
        if claim.item_id is not None or not reading.titles.matcher.knows(claim.subject):
            return left_open(claim, "its item is not in the catalogue")
        match = reading.titles.matcher.match(claim.subject)
        if match.item_id is not None:  # whoever extracted the claim had a reason not to take it for this item
            return left_open(claim, "it was tied to no item")
        ids = match.candidates
        rulings = [self._rule(replace(claim, item_id=one), facts, reading, past) for one in ids[:MAX_SHARERS]]
        verdicts = {ruling.verdict for ruling in rulings}
        # A year is what tells items of one title apart: if it is that of one of them, that one was meant.
        told = claim.predicate == "year" and claim.polarity and "supported" in verdicts
        if not rulings or len(ids) > MAX_SHARERS or (len(verdicts) > 1 and not told):
            return left_open(claim, f"{len(ids)} items of the catalogue have this title")
        best = next(ruling for ruling in rulings if not told or ruling.verdict == "supported")
        return replace(
            best, claim=claim, note="; ".join(filter(None, (best.note, f"{len(ids)} items have this title")))
        )

    def _wishes(self, claim: Claim, item: Item, facts: Facts, reading: _Reading, past: Past) -> Ruling:
        """A wish is a claim of another predicate: that the item meets it."""
        wishes, whole = read_wishes(claim.object, reading.vocabulary.genres)
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
            return ruled(claim, False, broken.evidence, broken.source, broken.note)
        left = next((ruling.note for ruling in rulings if ruling.verdict == "unverifiable"), "")
        if left or not rulings or not whole:
            return left_open(claim, left or f"no column can hold {claim.object!r}")
        evidence = "; ".join(dict.fromkeys(ruling.evidence for ruling in rulings))
        return ruled(claim, True, evidence, rulings[0].source, rulings[0].note)


class _Reading:
    """What is the same for every claim about one catalogue."""

    def __init__(
        self, catalog: Catalog, columns: Mapping[str, Sequence[str]], synonyms: Mapping[str, Sequence[str]]
    ) -> None:
        self.catalog = catalog
        self.titles = Titles(catalog)
        self.vocabulary = Vocabulary(catalog, columns, synonyms)


def _year_of_title(item: Item) -> list[Cell]:
    year = normalise(item.title).year
    return [] if year is None else [Cell("title", (str(year),), True)]
