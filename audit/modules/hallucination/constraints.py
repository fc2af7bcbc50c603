"""Constraints that a user could state: drawn from the catalogue, put in words, and evaluated on what comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from audit.edits import Edit, TextEdit, apply
from audit.modules.hallucination.eligibility import as_number, words
from audit.target import Input
from audit.types import Case, Catalog, Item, Request

Kind = Literal["range", "at_least", "at_most", "includes", "excludes", "count"]
Kept = Literal["kept", "near", "far", "unknown"]
"""`near` and `far` break it, by a little or by more; `unknown` is a title whose item lacks the column, or that is no
item."""

KINDS: tuple[Kind, ...] = ("range", "includes", "count", "excludes", "at_least", "at_most")

NEAR = 0.05
"""A number is near a bound within this share of the column's spread (5th to 95th percentile), or within 1."""
FEWEST = 10
"""Items that must keep a constraint over a whole catalogue, and twice as many as are asked for."""
FEW_OF = 0.6
"""At most this share of the items keep a constraint that asks for something, or nothing would be asked for."""
POOL = 2000
"""Items of a pool that are looked at; of a larger one a sample, in which as many must keep the constraint."""
_DRAWS = 20
_DISTINCT = 5
_FILLED = 0.8


@dataclass(frozen=True)
class Constraint:
    """One condition that recommended items, or their number, must meet.

    Attributes:
        kind: `range`, `at_least`, `at_most` of a number; `includes`, `excludes` of a value; `count` of titles.
        column: attribute of the items; empty for `count`.
        low: least number allowed, for `range` and `at_least`; how many, for `count`.
        high: greatest number allowed, for `range` and `at_most`.
        value: that must be or must not be among the item's.
        near: how far off a number may be and still be near.
    """

    kind: Kind
    column: str = ""
    low: float | None = None
    high: float | None = None
    value: str = ""
    near: float = 1.0

    @property
    def says(self) -> str:
        """The sentence in which a user would state it."""
        if self.kind == "count":
            return f"Recommend exactly {self.low:g}."
        if self.kind in ("includes", "excludes"):
            verb = "Only recommend" if self.kind == "includes" else "Do not recommend"
            genre = self.column.casefold() in ("genre", "genres")
            return f"{verb} {'titles of the genre' if genre else f'titles whose {self.column} includes'} {self.value}."
        year = self.column.casefold() in ("year", "release_year")
        what = "titles released" if year else f"titles whose {self.column} is"
        if self.kind == "range" and self.low == self.high:
            return f"Only recommend {what} {f'in {self.low:g}' if year else f'{self.low:g}'}."
        if self.kind == "range":
            return f"Only recommend {what} between {self.low:g} and {self.high:g}."
        if self.kind == "at_least":
            return f"Only recommend {what} {f'in {self.low:g} or later' if year else f'at least {self.low:g}'}."
        return f"Only recommend {what} {f'in {self.high:g} or earlier' if year else f'at most {self.high:g}'}."

    def judge(self, item: Item | None) -> Kept:
        """Whether an item keeps it; None is a title that is no item."""
        own = None if item is None else item.attributes.get(self.column)
        if own is None or own == ():
            return "unknown"
        if self.kind in ("includes", "excludes"):
            # A value has no distance, so a break is never near.
            return "kept" if bool(words(self.value) & words(own)) == (self.kind == "includes") else "far"
        number = as_number(own)
        if number is None:
            return "unknown"
        below = 0.0 if self.low is None else self.low - number
        above = 0.0 if self.high is None else number - self.high
        return self._by(max(below, above))

    def judge_count(self, titles: int) -> Kept:
        """Whether a number of titles keeps a `count`."""
        return self._by(abs(titles - (self.low or 0.0)))

    def _by(self, off: float) -> Kept:
        if off <= 0.0:
            return "kept"
        return "near" if off <= self.near else "far"


@dataclass(frozen=True)
class Stated:
    """A case that is asked with a constraint.

    Attributes:
        case: the case, unconstrained; for a count its k is the count.
        constraint: the constraint.
        edits: from its request to the one that states it.
    """

    case: Case
    constraint: Constraint
    edits: tuple[Edit, ...]

    @property
    def request(self) -> Request:
        """What is asked."""
        return apply(self.edits, self.case.request)


class Facts:
    """The columns of a catalogue from which constraints can be drawn."""

    def __init__(self, catalog: Catalog) -> None:
        self._items = catalog.items_in_order
        self._columns = list(dict.fromkeys(name for item in self._items for name in item.attributes))

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """How far off is near, by column of numbers."""
        found = {}
        for name in self._columns:
            values = numbers_of(self._items, name)
            if len(values) >= _FILLED * len(self._items) and len(set(values)) >= _DISTINCT:
                low, high = np.quantile(values, [0.05, 0.95])
                found[name] = max(1.0 if all(v.is_integer() for v in values) else 0.0, NEAR * float(high - low))
        return found

    @cached_property
    def values(self) -> tuple[str, ...]:
        """Columns of words, filled for most items."""
        return tuple(
            name
            for name in self._columns
            if name not in self.numbers
            and sum(name in item.attributes for item in self._items) >= _FILLED * len(self._items)
        )

    def draw(self, kind: Kind, request: Request, pool: Sequence[Item], rng: np.random.Generator) -> Constraint | None:
        """A constraint of this kind that enough of the pool keeps and some of it breaks; None if none was found."""
        needed = request.k if request.candidates is not None else max(FEWEST, 2 * request.k)
        if kind == "count":
            return self._count(request, len(pool), rng)
        columns = self.values if kind in ("includes", "excludes") else tuple(self.numbers)
        for _ in range(_DRAWS if columns else 0):
            column = columns[int(rng.integers(len(columns)))]
            if kind in ("includes", "excludes"):
                drawn = _value(kind, column, pool, [event.item for event in request.user.history], rng)
            else:
                drawn = self._bounds(kind, column, pool, rng)
            kept = 0 if drawn is None else sum(drawn.judge(item) == "kept" for item in pool)
            most = len(pool) - 1 if kind == "excludes" else FEW_OF * len(pool)
            if needed <= kept <= most:
                return drawn
        return None

    def _bounds(self, kind: Kind, column: str, pool: Sequence[Item], rng: np.random.Generator) -> Constraint | None:
        values = numbers_of(pool, column)
        if not values:
            return None
        start = float(rng.uniform(0.0, 0.6))
        low, high = (float(v) for v in np.quantile(values, [start, start + 0.4], method="nearest"))
        near = self.numbers[column]
        if kind == "range":
            return Constraint(kind, column, low, high, near=near)
        if kind == "at_least":
            return Constraint(kind, column, low=high, near=near)
        return Constraint(kind, column, high=low, near=near)

    @staticmethod
    def _count(request: Request, pool: int, rng: np.random.Generator) -> Constraint | None:
        others = [k for k in range(2, max(request.k, 4) + 1) if k != request.k and k <= pool]
        return Constraint("count", low=float(rng.choice(others))) if others else None


def _value(
    kind: Kind, column: str, pool: Sequence[Item], history: Sequence[Item], rng: np.random.Generator
) -> Constraint | None:
    # What the user has had most is what a target would recommend, so leaving it out asks something of it.
    held = _tally(history, column) if kind == "excludes" else Counter()
    there = _tally(pool, column)
    options = sorted(set(held) & set(there)) or sorted(there)
    if not options:
        return None
    weights = np.array([held.get(v, 0) or there[v] for v in options], dtype=np.float64)
    return Constraint(kind, column, value=options[int(rng.choice(len(options), p=weights / weights.sum()))])


def _tally(items: Sequence[Item], column: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for item in items:
        own = item.attributes.get(column)
        found.update(map(str, own if isinstance(own, tuple) else () if own is None else (own,)))
    return found


def numbers_of(items: Sequence[Item], column: str) -> list[float]:
    """The numbers that items have in a column."""
    given = (item.attributes.get(column) for item in items)
    return [number for value in given if value is not None and (number := as_number(value)) is not None]


def channel(honours: Collection[Input]) -> str | None:
    """The field in which a user can say what they want: the note, else the instruction; None where neither is read."""
    if Input.NOTE in honours:
        return "note"
    return "instruction" if Input.INSTRUCTION in honours else None


def state(
    case: Case, number: int, facts: Facts, pool: Sequence[Item], field: str, rng: np.random.Generator
) -> Stated | None:
    """A case with a constraint of its own; the kinds take turns, and one that cannot be drawn lets the next have it.

    Args:
        case: unconstrained.
        number: of the case, which says whose turn it is.
        facts: of the catalogue.
        pool: the items it may recommend.
        field: in which the constraint is stated.
        rng: of this case alone, so that more cases do not change it.
    """
    if len(pool) > POOL:
        pool = [pool[int(i)] for i in np.sort(rng.choice(len(pool), POOL, replace=False))]
    for turn in range(len(KINDS)):
        drawn = facts.draw(KINDS[(number + turn) % len(KINDS)], case.request, pool, rng)
        if drawn is None:
            continue
        request = case.request if drawn.kind != "count" else replace(case.request, k=int(drawn.low or 0))
        old = request.instruction if field == "instruction" else request.user.note
        edit = TextEdit(field, len(old), len(old), f"{' ' if old and not old[-1].isspace() else ''}{drawn.says}")
        return Stated(replace(case, request=request), drawn, (edit,))
    return None
