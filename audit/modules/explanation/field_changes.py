"""One field of a request taken away, or another user's put in its place: as edits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.edits import (
    CandidateReorder,
    Edit,
    HistoryDrop,
    HistoryInsert,
    SetAttribute,
    TextEdit,
)
from audit.target import Input
from audit.types import Request

ATTRIBUTE = "attributes."
READ_AS: Mapping[str, Input] = {
    "history": Input.HISTORY,
    "note": Input.NOTE,
    "passages": Input.PASSAGES,
    "turns": Input.TURNS,
    "instruction": Input.INSTRUCTION,
}
"""The declaration that covers a field; the order of the candidates is covered by none."""

KINDS = ("history", "attributes", "note", "passages", "turns", "candidate_order", "instruction")
"""Fields an owner can disclose; an attribute alone is `attributes.NAME`."""


@dataclass(frozen=True)
class FieldChange:
    """A field, and how it is changed.

    Attributes:
        field: `history`, `attributes.NAME`, `note`, `passages`, `turns`, `candidate_order`, `instruction`.
        operator: `delete`; `swap`, for what another user under audit has there; `shuffle` of the candidates;
            `paraphrase` of the instruction, by the target's own other wordings.
    """

    field: str
    operator: str

    @property
    def said(self) -> str:
        """In words, as the end of “when …”."""
        how = {
            "delete": "is taken away",
            "swap": "is another user's",
            "shuffle": "is shuffled",
            "paraphrase": "is put in other words",
        }
        return f"{spoken(self.field)} {how[self.operator]}"


def spoken(field: str) -> str:
    """A field, as a reader would name it."""
    if field.startswith(ATTRIBUTE):
        return f"the attribute {field.removeprefix(ATTRIBUTE)}"
    return {"candidate_order": "the order of the candidates"}.get(field, f"the {field}")


def declared(field: str, honours: frozenset[Input]) -> bool | None:
    """Whether the target says that it reads the field; None where no declaration speaks of it."""
    if field.startswith(ATTRIBUTE):
        return Input.ATTRIBUTES in honours
    return READ_AS[field] in honours if field in READ_AS else None


def field_edits(
    request: Request,
    others: Sequence[Request],
    paraphrases: Sequence[str],
    operators: Sequence[str],
    rng: np.random.Generator,
) -> dict[FieldChange, tuple[Edit, ...]]:
    """The edits of every change that this request allows.

    Args:
        request: clean.
        others: clean requests of other users; the first that differs in a field lends it.
        paraphrases: other wordings of the instruction, known to mean the same.
        operators: of `delete` and `swap`.
        rng: of this request; shuffles the candidates.
    """
    found: dict[FieldChange, tuple[Edit, ...]] = {}
    if "delete" in operators:
        found |= {FieldChange(field, "delete"): edits for field, edits in _deletions(request)}
    if "swap" in operators:
        found |= {FieldChange(field, "swap"): edits for field, edits in _swaps(request, others)}
    count = len(request.candidates or ())
    if count > 1:
        order = rng.permutation(count)
        # The order that was there is no other order; one step further is.
        order = np.roll(order, 1) if np.array_equal(order, np.arange(count)) else order
        found[FieldChange("candidate_order", "shuffle")] = (CandidateReorder(tuple(int(i) for i in order)),)
    wording = next((text for text in paraphrases if text != request.instruction), None)
    if request.instruction and wording is not None:
        found[FieldChange("instruction", "paraphrase")] = (
            TextEdit("instruction", 0, len(request.instruction), wording),
        )
    return found


def _deletions(request: Request) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    user = request.user
    if user.history:
        yield "history", (HistoryDrop(0),) * len(user.history)
    for name in sorted(user.attributes):
        yield f"{ATTRIBUTE}{name}", (SetAttribute(name, None),)
    if user.note:
        yield "note", (TextEdit("note", 0, len(user.note), ""),)
    for field, entries in (("passages", request.passages), ("turns", request.turns)):
        texts = [entry.text for entry in entries]
        if any(texts):
            yield field, tuple(TextEdit(f"{field}[{i}]", 0, len(text), "") for i, text in enumerate(texts))


def _swaps(request: Request, others: Sequence[Request]) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    user = request.user
    ids = [event.item.id for event in user.history]
    lender = next((o for o in others if o.user.history and [e.item.id for e in o.user.history] != ids), None)
    if user.history and lender is not None:
        lent = lender.user.history
        yield (
            "history",
            (
                *(HistoryDrop(0),) * len(user.history),
                *(HistoryInsert(place, event) for place, event in enumerate(lent)),
            ),
        )
    for name, value in sorted(user.attributes.items()):
        other = next((v for o in others if (v := o.user.attributes.get(name)) not in (None, value)), None)
        if other is not None:
            yield f"{ATTRIBUTE}{name}", (SetAttribute(name, other),)
    note = next((o.user.note for o in others if o.user.note and o.user.note != user.note), None)
    if user.note and note is not None:
        yield "note", (TextEdit("note", 0, len(user.note), note),)
    texts = [passage.text for passage in request.passages]
    lent_texts = next((t for o in others if (t := [p.text for p in o.passages]) and t != texts), None)
    if any(texts) and lent_texts is not None:
        yield (
            "passages",
            tuple(
                TextEdit(f"passages[{i}]", 0, len(text), lent_texts[i % len(lent_texts)])
                for i, text in enumerate(texts)
            ),
        )
