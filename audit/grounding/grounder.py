"""Answers tied to the catalogue: the parser and the matcher joined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from audit.grounding.matcher import Match, Matcher
from audit.grounding.mentions import Gazetteer, Mention
from audit.grounding.parser import Entry, ParsedList, is_refusal, parse_list
from audit.grounding.tally import Tally, answer_counts, entry_counts
from audit.types import Catalog, Item, Outcome, Ranked

_SECOND_NUMBER = re.compile(r"\d{1,3}[.)]\s+(?=\S)")

_DETAILS: dict[Outcome, str] = {
    "ok": "",
    "refused": "the answer declines and holds no list",
    "unparsable": "no list was found in the answer",
}


@dataclass(frozen=True)
class GroundedList:
    """A list tied to the catalogue.

    Attributes:
        ranked: one entry per title, best first, as an `Answer` holds them; `item_id` is None for what is ambiguous or
            absent.
        outcome: `ok`, `refused` or `unparsable`.
        tally: what is wrong with the list, each kind counted apart.
        matches: one Match per entry of `ranked`.
        entries: one Entry per entry of `ranked`, with its place in the raw text.
        style: how the list was written; empty when it came as a list.
        detail: for any outcome but `ok`, what happened, in one sentence.
    """

    ranked: tuple[Ranked, ...]
    outcome: Outcome
    tally: Tally
    matches: tuple[Match, ...] = ()
    entries: tuple[Entry, ...] = ()
    style: str = ""
    detail: str = ""


class Grounder:
    """Ties what a target wrote to catalogue ids. Build one per catalogue; it holds the index.

    The items of the request come first: an edit may have changed the title under which the target saw an item, and
    that title is then a name of this item for this request.

    Args:
        catalog: the items.
        aliases: other names, each with the id or a title of its item.

    Raises:
        DataError: an alias leads to no item.
    """

    def __init__(self, catalog: Catalog, aliases: Mapping[str, str] | None = None) -> None:
        self.catalog = catalog
        self.matcher = Matcher(catalog, aliases)

    def ground_list(
        self,
        text: str,
        *,
        candidates: Sequence[Item] | None = None,
        history: Sequence[Item] = (),
        k: int | None = None,
    ) -> GroundedList:
        """Read the list in a text and tie its entries to items.

        Args:
            text: the raw answer.
            candidates: the items the target was to choose from; None for the whole catalogue.
            history: the items the user has consumed.
            k: how many entries were asked for; None when any number is right.

        Returns:
            The grounded list. A text without a list is `refused` or `unparsable` and has no entries.
        """
        scope = _Scope(self, candidates, history)
        parsed = parse_list(text, scope.knows)
        if parsed.style == "prose-none":
            outcome: Outcome = "refused" if is_refusal(text) else "unparsable"
            return GroundedList((), outcome, answer_counts(outcome, 0, None), detail=_DETAILS[outcome])
        return _grounded(scope, parsed, k)

    def ground_titles(
        self,
        titles: Sequence[str],
        *,
        candidates: Sequence[Item] | None = None,
        history: Sequence[Item] = (),
        k: int | None = None,
    ) -> GroundedList:
        """Tie a list of titles or ids to items.

        A list in which every string is an id, and at least one of them no title, is a list of ids. Otherwise each
        string is taken by itself: as an id unless it is also an item's title, for "9", "21" and "1984" are films.

        Args:
            titles: titles, ids, or a mixture, best first.
            candidates: as for `ground_list`.
            history: as for `ground_list`.
            k: as for `ground_list`.
        """
        scope = _Scope(self, candidates, history)
        entries = tuple(Entry(title) for title in titles)
        return _grounded(scope, ParsedList(entries, "lines"), k, style="")

    def ground_mentions(self, text: str, *, candidates: Sequence[Item] = ()) -> tuple[Mention, ...]:
        """Find the titles named in running text.

        A title of one common or short word, or of one word in lower case, counts only when it is quoted, emphasised,
        followed by a year, or fills a list slot.

        Args:
            text: any text.
            candidates: items that settle a title shared by several.
        """
        parsed = parse_list(text, self.matcher.knows)
        marked = parsed.style in ("numbered", "bulleted", "table", "lines", "json")
        slots = sorted((entry.start, entry.end) for entry in parsed.entries) if marked else []
        return self._gazetteer.scan(text, slots=slots, prefer={item.id for item in candidates})

    @cached_property
    def _gazetteer(self) -> Gazetteer:
        return Gazetteer(self.matcher)


class _Scope:
    """The matcher as one request sees it."""

    def __init__(self, grounder: Grounder, candidates: Sequence[Item] | None, history: Sequence[Item]) -> None:
        self._catalog = grounder.catalog
        self._matcher = grounder.matcher
        self.candidates = None if candidates is None else [item.id for item in candidates]
        self.history = [item.id for item in history]
        self._prefer = frozenset(self.candidates or ())
        self._own_ids = {*self._prefer, *self.history}
        renamed = _renamed(grounder.catalog, [*(candidates or ()), *history])
        self._renamed = Matcher(Catalog(renamed)) if renamed else None

    def is_id(self, text: str) -> bool:
        return text in self._catalog or text in self._own_ids

    def knows(self, text: str) -> bool:
        return self.knows_title(text) or self.is_id(text)

    def knows_title(self, text: str) -> bool:
        return self._matcher.knows(text) or (self._renamed is not None and self._renamed.knows(text))

    def match(self, title: str, year: int | None) -> Match:
        if self._renamed is not None:
            seen = self._renamed.match(title, year, prefer=self._prefer)
            if seen.found and not seen.year_conflict:
                return seen
        return self._matcher.match(title, year, prefer=self._prefer)

    def resolve(self, entries: Sequence[Entry]) -> list[Match]:
        """One Match per entry, ids told from titles by the whole list."""
        ids = [self.is_id(entry.title) for entry in entries]
        all_ids = all(ids) and any(not self.knows_title(entry.title) for entry in entries)
        return [
            Match("match", entry.title, score=100.0)
            if is_id and (all_ids or not self.knows_title(entry.title))
            else self._entry(entry)
            for entry, is_id in zip(entries, ids, strict=True)
        ]

    def _entry(self, entry: Entry) -> Match:
        found = self.match(entry.title, entry.year)
        if found.found or found.score == 100.0:
            return found
        if numbered := _SECOND_NUMBER.match(entry.title):
            # Small models count twice: "2. 3. Heat (1995)".
            rest = self.match(entry.title[numbered.end() :], entry.year)
            if rest.found:
                return rest
        if not entry.line:
            return found
        # The slot may have been cut inside a misspelled title with a dash or colon in it.
        whole = self.match(entry.line, None)
        return whole if whole.found else found


def _renamed(catalog: Catalog, items: Iterable[Item]) -> list[Item]:
    """The request's items whose title is not the catalogue's, one per id."""
    found: dict[str, Item] = {}
    for item in items:
        own = catalog.get(item.id)
        if own is not item and (own is None or own.title != item.title):
            found.setdefault(item.id, item)
    return list(found.values())


def _grounded(scope: _Scope, parsed: ParsedList, k: int | None, *, style: str | None = None) -> GroundedList:
    matches = scope.resolve(parsed.entries)
    ranked = tuple(
        Ranked(match.item_id, entry.title, reason=entry.reason)
        for entry, match in zip(parsed.entries, matches, strict=True)
    )
    statuses = [match.status for match in matches]
    length = k if k is None or scope.candidates is None else min(k, len(scope.candidates))
    counts = (
        answer_counts("ok", len(ranked), length)
        + entry_counts(
            [entry.item_id for entry in ranked],
            [entry.title for entry in ranked],
            candidates=scope.candidates,
            history=scope.history,
        )
        + Tally(
            matched=statuses.count("match") + statuses.count("alias"),
            typo_matched=statuses.count("match_typo"),
            ambiguous=statuses.count("ambiguous"),
            absent=statuses.count("absent"),
            year_conflicts=sum(match.year_conflict for match in matches),
        )
    )
    return GroundedList(ranked, "ok", counts, tuple(matches), parsed.entries, parsed.style if style is None else style)
