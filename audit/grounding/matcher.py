"""Whether a title is an item of the catalogue.

The rule never lets a loose score decide existence: `WRatio`, `token_set_ratio` and partial ratios give an invented "The
Matrix Unbound" 90 to 100 against "The Matrix", and no single threshold of the plain ratio parts a typo (Findng Nemo,
96) from a sequel (Toy Story 3 against Toy Story 2, 91).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from audit.errors import DataError, nearest
from audit.grounding.titles import NormalisedTitle, normalise, numbers
from audit.types import Catalog, Item

MatchStatus = Literal["match", "alias", "match_typo", "ambiguous", "absent"]

YEAR_TOLERANCE = 1
"""Years apart that still agree: the festival and the release of one film are often a year apart."""
CANDIDATE_RATIO = 85.0
"""Least `fuzz.ratio` (0 to 100) at which an item is worth naming as what may have been meant."""
TYPO_RATIO = 93.0
"""Least ratio at which a misspelling is accepted."""
TYPO_MIN_LENGTH = 8
"""Least characters of both normal forms for a misspelling: in short titles one letter makes another title."""
TYPO_MARGIN = 5.0
"""Least points between the best and the next item for a misspelling."""
FIRST_TOKEN_EDITS = 1
"""Most edits between the first tokens of a misspelling and of the item."""

_CACHE_SIZE = 1 << 16
_MAX_CANDIDATES = 12


@dataclass(frozen=True)
class Match:
    """What a title was found to be.

    Attributes:
        status: `match` (exact normal form), `alias` (another name of the item), `match_typo` (a misspelling),
            `ambiguous` (near an item, or the title of several) or `absent`.
        item_id: the item, for the first three.
        candidates: for `ambiguous`, the ids that may have been meant, best first.
        score: `fuzz.ratio` of the best candidate, 0 to 100; 100 for an exact or alias hit.
        year_conflict: the title is the item's and the year given is not, by more than `YEAR_TOLERANCE`.
    """

    status: MatchStatus
    item_id: str | None = None
    candidates: tuple[str, ...] = ()
    score: float = 0.0
    year_conflict: bool = False

    @property
    def found(self) -> bool:
        """Whether the title was tied to one item."""
        return self.item_id is not None


_ABSENT = Match("absent")


class Matcher:
    """Titles to ids by five steps; the index is built once.

    1. The exact normal form, with the year within `YEAR_TOLERANCE` if one is given: `match`. Of several items with the
       title, the year chooses. If the year fits none of them the item exists and `year_conflict` is set.
    2. A name from `aliases`, from "(a.k.a. …)" in a catalogue title, or without a bracketed remark: `alias`.
    3. The nearest normal forms with ratio >= `CANDIDATE_RATIO`; the best is accepted as `match_typo` only if the ratio
       is >= `TYPO_RATIO`, both forms have `TYPO_MIN_LENGTH` characters, the number tokens are equal, the first tokens
       are at most `FIRST_TOKEN_EDITS` apart, the next item is `TYPO_MARGIN` points lower, and the year agrees if given.
    4. A near item that fails a condition of step 3: `ambiguous`.
    5. Otherwise `absent`.

    Args:
        catalog: the items.
        aliases: other names, each with the id or a title of its item.

    Raises:
        DataError: an alias leads to no item.
    """

    def __init__(self, catalog: Catalog, aliases: Mapping[str, str] | None = None) -> None:
        self._years: dict[str, int | None] = {}
        self._exact: dict[str, list[str]] = {}
        self._alias: dict[str, list[str]] = {}
        for item in catalog.items_in_order:
            normal = normalise(item.title)
            self._years[item.id] = normal.year if normal.year is not None else _year_of(item)
            if normal.text:
                self._exact.setdefault(normal.text, []).append(item.id)
            for name in dict.fromkeys(normal.aliases + normal.shorter):
                self._alias.setdefault(name, []).append(item.id)
        for name, goal in (aliases or {}).items():
            ids = self._alias.setdefault(normalise(name).text, [])
            ids += [item_id for item_id in self._goals(name, goal, catalog) if item_id not in ids]
        self._names = tuple(dict.fromkeys([*self._exact, *self._alias]))
        self._lookup = lru_cache(maxsize=_CACHE_SIZE)(self._match)

    @property
    def names(self) -> tuple[str, ...]:
        """Every normal form an item may be called by."""
        return self._names

    def knows(self, title: str) -> bool:
        """Whether the title is exactly an item's title or alias, the year aside."""
        text = normalise(title).text
        return text in self._exact or text in self._alias

    def match(self, title: str, year: int | None = None, *, prefer: Collection[str] = ()) -> Match:
        """Find the item a title names.

        Args:
            title: as written, with or without its year.
            year: a year given beside the title; without one, the year inside the title counts.
            prefer: ids that settle a title shared by several items, such as the request's candidates: if exactly one
                of the sharers is among them it is meant.

        Returns:
            The Match; the same for the same arguments.
        """
        found, shared = self._lookup(title, year)
        if shared is None or not prefer:
            return found
        preferred = [item_id for item_id in found.candidates if item_id in prefer]
        if len(preferred) != 1:
            return found
        return Match(shared, preferred[0], score=found.score, year_conflict=found.year_conflict)

    def _goals(self, name: str, goal: str, catalog: Catalog) -> list[str]:
        if goal in catalog:
            return [goal]
        normal = normalise(goal)
        ids = self._exact.get(normal.text, [])
        if normal.year is not None and len(ids) > 1:
            ids = [item_id for item_id in ids if self._years[item_id] == normal.year]
        if ids:
            return ids
        hint = nearest(goal, [item.title for item in catalog.items_in_order[:1000]]).split(" Known:")[0]
        hint = f" {hint}" if hint.startswith("did") else ""
        raise DataError(f"aliases: {name!r} leads to {goal!r}, which is no id and no title of the catalogue;{hint}")

    def _match(self, title: str, year: int | None) -> tuple[Match, MatchStatus | None]:
        """The Match, and for a title shared by several items the status it has once one of them is chosen."""
        normal = normalise(title)
        if not normal.text:
            return _ABSENT, None
        if year is None:
            year = normal.year
        named = self._by_name(normal, year) or self._by_unbracketed_year(normal, year)
        if named is not None:
            return named
        return self._by_likeness(normal.text, year), None

    def _by_name(self, normal: NormalisedTitle, year: int | None) -> tuple[Match, MatchStatus | None] | None:
        pools: list[tuple[MatchStatus, list[str]]] = [("match", self._exact.get(normal.text, []))]
        pools += [("alias", self._alias.get(normal.text, []))]
        pools += [("alias", self._exact.get(s, []) or self._alias.get(s, [])) for s in normal.shorter]
        pools = [pool for pool in pools if pool[1]]
        # Every item of this name gets its chance to fit the year before a year is called wrong.
        for status, ids in pools:
            if fitting := self._fitting(ids, year):
                return _settle(status, fitting, year_conflict=False)
        if pools:
            return _settle(*pools[0], year_conflict=True)
        return None

    def _by_unbracketed_year(
        self, normal: NormalisedTitle, year: int | None
    ) -> tuple[Match, MatchStatus | None] | None:
        """For "The Matrix, 1999": the last token is a year only if it is the item's year, else part of the title."""
        head, _, last = normal.text.rpartition(" ")
        if not head or year is not None or len(last) != 4 or not last.isascii() or not last.isdigit():
            return None
        ids = self._exact.get(head, []) or self._alias.get(head, [])
        fitting = [i for i in self._fitting(ids, int(last)) if self._years[i] is not None]
        return _settle("match", fitting, year_conflict=False) if fitting else None

    def _fitting(self, ids: list[str], year: int | None) -> list[str]:
        """The items whose year fits best: equal, then within the tolerance, then unknown."""
        if year is None:
            return ids
        gaps = {item_id: None if (own := self._years[item_id]) is None else abs(own - year) for item_id in ids}
        known = [gap for gap in gaps.values() if gap is not None and gap <= YEAR_TOLERANCE]
        best = min(known) if known else None
        return [item_id for item_id, gap in gaps.items() if gap == best]

    def _by_likeness(self, text: str, year: int | None) -> Match:
        near = process.extract(
            text, self._names, scorer=fuzz.ratio, score_cutoff=CANDIDATE_RATIO, limit=_MAX_CANDIDATES
        )
        if not near:
            return _ABSENT
        scored = [(name, float(score), self._exact.get(name) or self._alias[name]) for name, score, _ in near]
        name, score, ids = scored[0]
        rival = max((s for _, s, other in scored[1:] if set(other) != set(ids)), default=0.0)
        fitting = self._fitting(ids, year)
        if len(fitting) == 1 and score - rival >= TYPO_MARGIN and is_typo(text, name, score):
            return Match("match_typo", fitting[0], score=score)
        candidates = tuple(dict.fromkeys(item_id for _, _, found in scored for item_id in found))
        return Match("ambiguous", None, candidates, score)


def is_typo(said: str, name: str, score: float) -> bool:
    """Whether two normal forms with this `fuzz.ratio` are one title misspelled, leaving rivals and years aside."""
    return (
        score >= TYPO_RATIO
        and min(len(said), len(name)) >= TYPO_MIN_LENGTH
        and numbers(said) == numbers(name)
        and Levenshtein.distance(said.split()[0], name.split()[0]) <= FIRST_TOKEN_EDITS
    )


def _settle(status: MatchStatus, ids: list[str], *, year_conflict: bool) -> tuple[Match, MatchStatus | None]:
    if len(ids) == 1:
        return Match(status, ids[0], score=100.0, year_conflict=year_conflict), None
    return Match("ambiguous", None, tuple(ids), 100.0, year_conflict), status


def _year_of(item: Item) -> int | None:
    value = item.attributes.get("year")
    if isinstance(value, tuple) or value is None:
        return None
    try:
        return int(value)
    except ValueError:
        return None
