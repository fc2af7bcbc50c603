"""What became of every title in an answer: whether it exists, whether the user has it, whether it is said twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from audit.grounding import Grounder, Match, Matcher, normalise
from audit.types import Answer, Case, Outcome, Request

State = Literal["found", "shared", "ambiguous", "absent", "out_of_catalog", "nonexistent", "near_reference"]
"""`found`: tied to one item. `shared`: the title of several items, so it exists and which one is meant is not known.
`ambiguous`: near an item, so that nobody can say. `absent`: no item of the catalogue, and there is no wider reference
to ask; with one, an absent title is `out_of_catalog` (the reference has it), `nonexistent` (it has not) or
`near_reference` (it has something like it)."""

NOT_LISTED: frozenset[State] = frozenset({"absent", "out_of_catalog", "nonexistent", "near_reference"})

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Title:
    """One title of an answer.

    Attributes:
        written: as the target wrote it; the id where it gave only that.
        item_id: the item of the catalogue or of the request; None unless `state` is `found`.
        state: see `State`.
        duplicate: whether it repeats an earlier title of the same answer.
        consumed: whether the item stands in the history of the request.
        year_conflict: whether the item exists and the year written beside its title is not its own.
        year: written beside the title or in it, if any.
        place: where it begins and ends in the raw text of the answer; None for a ranking.
    """

    written: str
    item_id: str | None
    state: State
    duplicate: bool = False
    consumed: bool = False
    year_conflict: bool = False
    year: int | None = None
    place: tuple[int, int] | None = None


@dataclass(frozen=True)
class ItemOutcome:
    """What one answer recommends. An answer without titles is an outcome, not an answer without faults.

    Attributes:
        case: id of the case.
        unit: its user, the unit of inference.
        outcome: `ok`, `refused`, `unparsable` or `error`.
        titles: in the order written; empty unless `outcome` is `ok`.
        asked: how many were asked for: k, or the number of candidates if that is less.
    """

    case: str
    unit: str
    outcome: Outcome
    titles: tuple[Title, ...]
    asked: int

    @property
    def items(self) -> int:
        """Titles."""
        return len(self.titles)

    @property
    def answered(self) -> bool:
        """Whether it recommends anything."""
        return bool(self.titles)

    @property
    def empty(self) -> bool:
        """Whether it was read and recommends nothing."""
        return self.outcome == "ok" and not self.titles

    @property
    def wrong_count(self) -> bool:
        """Whether it was read and holds another number of titles than asked for."""
        return self.outcome == "ok" and len(self.titles) != self.asked

    def count(self, *states: State) -> int:
        """Titles in any of these states."""
        return sum(title.state in states for title in self.titles)

    def head(self, k: int) -> ItemOutcome:
        """The same with the first k titles only."""
        return ItemOutcome(self.case, self.unit, self.outcome, self.titles[:k], self.asked)

    @property
    def not_listed(self) -> int:
        """Titles that no item of the catalogue has: the low bound of what is made up."""
        return self.count(*NOT_LISTED)

    @property
    def ambiguous(self) -> int:
        """Titles near an item: the high bound counts them with `not_listed`."""
        return self.count("ambiguous")

    @property
    def duplicates(self) -> int:
        """Titles said before in the same answer."""
        return sum(title.duplicate for title in self.titles)

    @property
    def consumed(self) -> int:
        """Items that the user has already."""
        return sum(title.consumed for title in self.titles)


Measure = Callable[[ItemOutcome], tuple[int, int]]
"""Hits and trials of one answer. Rates of titles have no trial in an answer without titles; rates of answers have one
in every answer, also where it refuses or cannot be read."""

MEASURES: Mapping[str, Measure] = {
    "hallucinated_item_rate": lambda one: (one.not_listed, one.items),
    "hallucinated_item_rate_high": lambda one: (one.not_listed + one.ambiguous, one.items),
    "hallucinated_answer_rate": lambda one: (int(one.not_listed > 0), 1),
    "hallucinated_answer_rate_high": lambda one: (int(one.not_listed + one.ambiguous > 0), 1),
    "ambiguous_rate": lambda one: (one.ambiguous, one.items),
    "duplicate_item_rate": lambda one: (one.duplicates, one.items),
    "consumed_item_rate": lambda one: (one.consumed, one.items),
    "wrong_count_rate": lambda one: (int(one.wrong_count), 1),
    "respond_rate": lambda one: (int(one.answered), 1),
}
"""What can be counted of an answer, by metric; `_high` counts ambiguous titles as made up."""


def item_outcomes(
    cases: Sequence[Case], answers: Sequence[Answer], grounder: Grounder, *, reference: Matcher | None = None
) -> list[ItemOutcome]:
    """What became of every title, answer by answer.

    Free text is read from the raw text, by the same parser for every target. A ranking is taken as the target gives it:
    an entry with an id counts by its id, which exists if the catalogue or the request holds it; an entry without one is
    looked up by its title once more, so that a title near an item is told from one that is nobody's.

    Args:
        cases: what was asked.
        answers: one per case, in order.
        grounder: over the catalogue; build it once, it holds the index.
        reference: titles of a wider world, which tell what is not sold here from what does not exist.

    Returns:
        One outcome per case, in order.

    Example:
        >>> outcomes = item_outcomes(cases, context.ask([c.request for c in cases]), Grounder(context.dataset.catalog))
        >>> hits, trials = counts(outcomes, "hallucinated_item_rate")  # per answer, for `stats.cluster_rate`
        >>> items_per_answer = [outcome.items for outcome in outcomes]
    """
    reader = _Reader(grounder, reference)
    return [reader.read(case, answer) for case, answer in zip(cases, answers, strict=True)]


def counts(outcomes: Sequence[ItemOutcome], metric: str) -> tuple[IntArray, IntArray]:
    """Hits and trials per answer for one of `MEASURES`, shape (answers,) each.

    Raises:
        KeyError: no such measure.
    """
    pairs = np.array([MEASURES[metric](one) for one in outcomes], dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


_Read = tuple[str, int | None, Match, tuple[int, int] | None]
"""A title as written, its year, what it was found to be, and its place."""


@dataclass(frozen=True)
class _Reader:
    grounder: Grounder
    reference: Matcher | None

    def read(self, case: Case, answer: Answer) -> ItemOutcome:
        request = case.request
        asked = request.k if request.candidates is None else min(request.k, len(request.candidates))
        outcome, titles = self._titles(request, answer)
        return ItemOutcome(case.id, case.unit, outcome, titles, asked)

    def _titles(self, request: Request, answer: Answer) -> tuple[Outcome, tuple[Title, ...]]:
        history = [event.item for event in request.user.history]
        found: list[_Read] = []
        if answer.outcome in ("refused", "error"):
            return answer.outcome, ()
        if request.task == "answer" and answer.text is not None:
            if not answer.text.strip():
                return answer.outcome, ()
            read = self.grounder.ground_list(answer.text, candidates=request.candidates, history=history)
            if read.outcome != "ok":
                return read.outcome, ()
            found = [
                (entry.title, entry.year, match, (entry.start, entry.end))
                for entry, match in zip(read.entries, read.matches, strict=True)
            ]
        elif answer.outcome != "ok":
            return answer.outcome, ()
        else:
            found = self._ranked(request, answer)
        return "ok", self._states(found, {item.id for item in history})

    def _ranked(self, request: Request, answer: Answer) -> list[_Read]:
        history = [event.item for event in request.user.history]
        known = {item.id for item in (*(request.candidates or ()), *history)}
        named = [entry.title for entry in answer.ranked if entry.item_id is None]
        matches = iter(self.grounder.ground_titles(named, candidates=request.candidates, history=history).matches)
        found: list[_Read] = []
        for entry in answer.ranked:
            if entry.item_id is None:
                found.append((entry.title, None, next(matches), None))
                continue
            own = self.grounder.catalog.get(entry.item_id)
            exists = own is not None or entry.item_id in known
            written = entry.title or (own.title if own is not None else entry.item_id)
            match = Match("match", entry.item_id, score=100.0) if exists else Match("absent")
            found.append((written, None, match, None))
        return found

    def _states(self, found: Sequence[_Read], history: set[str]) -> tuple[Title, ...]:
        titles: list[Title] = []
        seen: set[tuple[str, int | None]] = set()
        for written, year, match, place in found:
            normal = normalise(written)
            # Two years make two titles: a film and its remake.
            said = year if year is not None else normal.year
            key = (normal.text or written.strip(), said)
            if match.item_id is not None:
                key = (f"id:{match.item_id}", None)
            repeated = key in seen and bool(key[0])
            seen.add(key)
            titles.append(
                Title(
                    written,
                    match.item_id,
                    self._state(written, year, match),
                    repeated,
                    match.item_id in history,
                    match.year_conflict,
                    said,
                    place,
                )
            )
        return tuple(titles)

    def _state(self, written: str, year: int | None, match: Match) -> State:
        if match.item_id is not None:
            return "found"
        if match.status == "ambiguous":
            return "shared" if _exact(match) else "ambiguous"
        if self.reference is None:
            return "absent"
        wider = self.reference.match(written, year)
        if wider.item_id is not None or _exact(wider):
            return "out_of_catalog"
        return "near_reference" if wider.status == "ambiguous" else "nonexistent"


def _exact(match: Match) -> bool:
    """Whether an ambiguous title is exactly the one of several items: it exists, whichever is meant."""
    return match.status == "ambiguous" and match.score == 100.0
