"""Titles of an answer in their places, with what looking them up has shown: what evidence highlights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audit.findings import ClaimMark, ClaimVerdict
from audit.modules.hallucination.constraints import Kept
from audit.modules.hallucination.item_outcomes import ItemOutcome, State, Title
from audit.types import Catalog, Item

FOUND: Mapping[State, tuple[ClaimVerdict, str]] = {
    "found": ("supported", ""),
    "shared": ("supported", "the title of several items"),
    "ambiguous": ("unverifiable", "near an item"),
    "absent": ("contradicted", "not in the catalogue"),
    "out_of_catalog": ("contradicted", "exists, and is not in the catalogue"),
    "nonexistent": ("contradicted", "in no list of titles"),
    "near_reference": ("contradicted", "not in the catalogue, and near a title of the wider list"),
}
"""What each state says of “this is an item of the catalogue”, and why, in a few words."""


def title_marks(outcome: ItemOutcome, catalog: Catalog) -> list[ClaimMark]:
    """One mark per title whose place in the raw text is known; a ranking has no text and gives none."""
    return [mark for title in outcome.titles if (mark := _mark(title, catalog)) is not None]


def _mark(title: Title, catalog: Catalog) -> ClaimMark | None:
    if title.place is None:
        return None
    verdict, why = FOUND[title.state]
    item = None if title.item_id is None else catalog.get(title.item_id)
    also = (
        ("the year is another", title.year_conflict),
        ("said before", title.duplicate),
        ("in the history", title.consumed),
    )
    return ClaimMark(
        *title.place,
        verdict,
        "exists",
        title.written,
        decided_by="" if verdict == "unverifiable" else "structured",
        source=title.item_id or "",
        evidence="" if item is None else _row(item),
        note="; ".join(filter(None, (why, *(words for words, holds in also if holds)))),
    )


def wish_marks(outcome: ItemOutcome, wish: str, kept: Sequence[Kept], catalog: Catalog) -> list[ClaimMark]:
    """One mark per title: whether it keeps a constraint that was stated.

    Args:
        outcome: of the answer.
        wish: the constraint in words.
        kept: what became of it, one per title.
        catalog: whose rows decide.
    """
    marks = []
    for title, found in zip(outcome.titles, kept, strict=True):
        item = None if title.item_id is None else catalog.get(title.item_id)
        if title.place is not None:
            verdict, note = _KEPT[found]
            marks.append(
                ClaimMark(
                    *title.place, verdict, "constraint_ok", wish, title.written,
                    decided_by="" if found == "unknown" else "structured", source=title.item_id or "",
                    evidence="" if item is None else _row(item), note=note,
                )
            )  # fmt: skip
    return marks


_KEPT: Mapping[Kept, tuple[ClaimVerdict, str]] = {
    "kept": ("supported", ""),
    "near": ("contradicted", "broken by a little"),
    "far": ("contradicted", ""),
    "unknown": ("unverifiable", "no item, or its row does not say"),
}


def _row(item: Item) -> str:
    facts = (
        f"{name}: {', '.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in item.attributes.items()
    )
    return "; ".join((item.title, *facts))
