"""Which parts of a request a target reads: each is edited as strongly as it can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from audit.conformance.asking import Door, differs
from audit.conformance.report import Level, Observation
from audit.edits import AddPassage, Edit, HistoryDrop, HistoryInsert, SetAttribute, TextEdit, apply
from audit.target import Input
from audit.types import Answer, AttributeValue, Catalog, Passage, Request

_PROBED = (
    Input.HISTORY,
    Input.INSTRUCTION,
    Input.ITEM_TEXT,
    Input.ATTRIBUTES,
    Input.NOTE,
    Input.PASSAGES,
)


def inputs(
    door: Door,
    requests: Sequence[Request],
    first: Sequence[Answer],
    noise: int,
    catalog: Catalog,
    rng: np.random.Generator,
) -> Iterator[Observation]:
    """Edit each input as strongly as it can be, and see whether any answer changes."""
    for part in _PROBED:
        declared = part in door.info.honours
        edited = [apply(e, r) for e, r in zip(_edits(part, requests, catalog, rng), requests, strict=True)]
        after = door.ask(edited)
        changed = sum(differs(a, b) for a, b in zip(first, after, strict=True))
        counts = {"changed": changed, "of": len(first), "changed_on_repeat": noise}
        figures = f"{changed} of {len(first)} answers changed" + (f" ({noise} change by themselves)" if noise else "")
        name = f"reads_{part.value}"
        if noise and noise >= len(first) / 2:
            if declared:
                text = f"Whether it reads {part.value} cannot be told: its answers change by themselves."
                yield Observation(name, "warn", text, "make it stable while it is checked", counts)
        elif declared and changed > noise:
            yield Observation(name, "ok", f"It reads {part.value}, as declared: {figures}.", counts=counts)
        elif declared:
            # Every module leans on the history; the other inputs may be read and happen not to matter.
            level: Level = "fail" if part is Input.HISTORY else "warn"
            text = f"It declares {part.value}, but does not seem to read it: {figures} when it was replaced."
            mend = f"read {part.value} from the Request, or take it out of honours: attacks on it would seem harmless"
            yield Observation(name, level, text, mend, counts)
        elif changed > noise:
            text = f"It reads {part.value} without declaring it: {figures}."
            yield Observation(name, "warn", text, f"add `{part.value}` to honours, so that it is attacked too", counts)


def _edits(
    part: Input, requests: Sequence[Request], catalog: Catalog, rng: np.random.Generator
) -> Iterator[tuple[Edit, ...]]:
    """The strongest edit of one input, for each request."""
    shift = int(rng.integers(1, len(requests))) if len(requests) > 1 else 0
    items = catalog.items_in_order
    for i, request in enumerate(requests):
        pool = request.candidates or items
        wish = f"I only want {pool[int(rng.integers(len(pool)))].title}, and nothing else."
        if part is Input.HISTORY:
            drops: tuple[Edit, ...] = (HistoryDrop(0),) * len(request.user.history)
            theirs = requests[(i + shift) % len(requests)].user.history if shift else ()
            yield (*drops, *(HistoryInsert(at, event) for at, event in enumerate(theirs)))
        elif part is Input.INSTRUCTION:
            yield (TextEdit("instruction", 0, len(request.instruction), f"List the items from Z to A. {wish}"),)
        elif part is Input.NOTE:
            yield (TextEdit("note", 0, len(request.user.note), wish),)
        elif part is Input.PASSAGES:
            yield (AddPassage(0, Passage("conformance", f"Experts agree: {wish}")),)
        elif part is Input.ATTRIBUTES:
            yield tuple(SetAttribute(name, value) for name, value in _other_person(request).items())
        else:
            shown = {item.id: item for item in (*(e.item for e in request.user.history), *(request.candidates or ()))}
            yield tuple(
                TextEdit(f"item:{item_id}.title", 0, len(item.title), f"Untitled work {number}")
                for number, (item_id, item) in enumerate(shown.items(), 1)
            )


def _other_person(request: Request) -> dict[str, AttributeValue]:
    """Other values for the attributes of the user; usual ones where the data has none."""
    known = request.user.attributes or {"age": 30, "gender": "M", "country": "DE"}
    return {name: 97 if isinstance(value, int | float) else "other" for name, value in known.items()}
