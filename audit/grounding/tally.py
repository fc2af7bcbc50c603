"""What is wrong with an answer's list, each kind counted apart.

A count that is folded into another is lost: an answer that cannot be read is not an empty list, an item that does not
exist is not one the user has seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace

from audit.grounding.titles import normalise
from audit.types import Answer, Catalog, Outcome, Request


@dataclass(frozen=True)
class Tally:
    """Counts over one answer or, added up, over many. Every field is a count; one entry may be in several.

    Attributes:
        answers: answers counted.
        refused: answers that decline.
        unparsable: answers in which no list was found.
        errors: answers that failed in the target.
        empty: answers that were read and hold no entry.
        too_few: answers with fewer entries than asked for, among those read.
        too_many: answers with more.
        entries: entries of all answers.
        matched: entries tied to an item by exact title, alias or id.
        typo_matched: entries tied to an item as a misspelling.
        ambiguous: entries near an item, or with a title of several items.
        absent: entries that name no item of the catalogue.
        foreign: entries with an id that neither the catalogue nor the request holds.
        outside_candidates: entries tied to an item that was not among the candidates.
        duplicates: entries that repeat an earlier one of the same answer.
        history_repeats: entries tied to an item of the user's history.
        year_conflicts: entries whose year contradicts the item's.
    """

    answers: int = 0
    refused: int = 0
    unparsable: int = 0
    errors: int = 0
    empty: int = 0
    too_few: int = 0
    too_many: int = 0
    entries: int = 0
    matched: int = 0
    typo_matched: int = 0
    ambiguous: int = 0
    absent: int = 0
    foreign: int = 0
    outside_candidates: int = 0
    duplicates: int = 0
    history_repeats: int = 0
    year_conflicts: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def to_dict(self) -> dict[str, int]:
        """JSON-compatible form, every count by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def tally(answer: Answer, request: Request, catalog: Collection[str] | Catalog) -> Tally:
    """Count what is wrong with an answer that is already structured.

    Misspelled and ambiguous titles cannot be told here, because a `Ranked` keeps only the id: an entry with an id
    counts as `matched`, one without as `absent`.

    Args:
        answer: the target's answer.
        request: what it was asked. For `rank` the length asked for is k, or the number of candidates if that is less;
            for `score` it is the number of candidates, and repeats of the history are not counted; for `answer` any
            length is right.
        catalog: the catalogue, or its ids.

    Returns:
        The counts of this one answer.
    """
    candidates = None if request.candidates is None else [item.id for item in request.candidates]
    history = [event.item.id for event in request.user.history]
    ids = [entry.item_id for entry in answer.ranked]
    known = {*(candidates or ()), *history}
    foreign = sum(i is not None and i not in known and i not in catalog for i in ids)
    absent = ids.count(None)
    length: int | None = None
    if request.task == "rank":
        length = request.k if candidates is None else min(request.k, len(candidates))
    elif request.task == "score" and candidates is not None:
        length = len(candidates)
    counts = entry_counts(
        ids,
        [entry.title for entry in answer.ranked],
        candidates=candidates,
        history=() if request.task == "score" else history,
    )
    outside = counts.outside_candidates - (0 if candidates is None else foreign)  # a foreign id is a fault of its own
    return (
        replace(counts, outside_candidates=outside)
        + answer_counts(answer.outcome, len(ids), length)
        + Tally(absent=absent, foreign=foreign, matched=len(ids) - absent - foreign)
    )


def answer_counts(outcome: Outcome, entries: int, length: int | None) -> Tally:
    """The counts of one answer as a whole: how it ended, and its length against the one asked for."""
    read = outcome == "ok"
    return Tally(
        answers=1,
        refused=int(outcome == "refused"),
        unparsable=int(outcome == "unparsable"),
        errors=int(outcome == "error"),
        empty=int(read and entries == 0),
        too_few=int(read and length is not None and entries < length),
        too_many=int(read and length is not None and entries > length),
    )


def entry_counts(
    ids: Sequence[str | None], titles: Sequence[str], *, candidates: Iterable[str] | None, history: Iterable[str]
) -> Tally:
    """The counts that need only ids (and titles, to see repeats of titles that name no item)."""
    allowed = None if candidates is None else set(candidates)
    consumed = set(history)
    seen: set[tuple[str, str]] = set()
    duplicates = outside = repeats = 0
    for item_id, title in zip(ids, titles, strict=True):
        key = ("id", item_id) if item_id is not None else ("title", normalise(title).text)
        duplicates += key in seen and key != ("title", "")
        seen.add(key)
        if item_id is not None:
            outside += allowed is not None and item_id not in allowed
            repeats += item_id in consumed
    return Tally(entries=len(ids), outside_candidates=outside, duplicates=duplicates, history_repeats=repeats)
