"""The texts of a request that the operator did not write, by the names of `audit.edits`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from audit.edits import Edit, TextEdit, Zone
from audit.target import Input, TargetInfo
from audit.types import Item, Request

Kind = Literal["title", "text", "note", "passage", "turn"]
"""What sort of text a field holds: an item's name or description, the user's words, a retrieved text, a chat turn."""

READ_AS: dict[Kind, Input] = {
    "title": Input.ITEM_TEXT,
    "text": Input.ITEM_TEXT,
    "note": Input.NOTE,
    "passage": Input.PASSAGES,
    "turn": Input.TURNS,
}
"""What a target must read for such a text to reach it."""
UNTRUSTED = frozenset({Zone.USER, Zone.SELLER, Zone.RETRIEVED})
READS = frozenset(READ_AS.values())


@dataclass(frozen=True)
class Text:
    """One text field of a request.

    Attributes:
        field: its name in edits.
        kind: see `Kind`.
        text: what it holds.
        always: whether an edit is due even if it changes nothing: the same item stands in the request with different
            texts, and an edit by item id writes one text for all.
    """

    field: str
    kind: Kind
    text: str
    always: bool = False

    def becomes(self, text: str) -> tuple[Edit, ...]:
        """The edit that puts another text there, no longer than it must be; none where nothing changes."""
        old = self.text
        if self.always:
            return (TextEdit(self.field, 0, len(old), text),)
        if old == text:
            return ()
        start = 0
        shortest = min(len(old), len(text))
        while start < shortest and old[start] == text[start]:
            start += 1
        end = 0
        while end < shortest - start and old[-1 - end] == text[-1 - end]:
            end += 1
        return (TextEdit(self.field, start, len(old) - end, text[start : len(text) - end]),)


def untrusted(request: Request, info: TargetInfo | None = None) -> list[Text]:
    """Titles and texts of all items, the note, retrieved passages, and the turns that are not the operator's.

    Args:
        request: whose texts.
        info: of a target; then only the fields that it reads.

    Returns:
        Texts that are not empty. An item that occurs twice is one field, as in edits.
    """
    found = [
        *_item_texts(request),
        Text("note", "note", request.user.note),
        *(Text(f"passages[{i}]", "passage", p.text) for i, p in enumerate(request.passages)),
        *(Text(f"turns[{i}]", "turn", t.text) for i, t in enumerate(request.turns) if t.role != "system"),
    ]
    return [t for t in found if (t.text or t.always) and (info is None or READ_AS[t.kind] in info.honours)]


def _item_texts(request: Request) -> Iterator[Text]:
    items: dict[str, list[Item]] = {}
    for item in (*(event.item for event in request.user.history), *(request.candidates or ())):
        items.setdefault(item.id, []).append(item)
    for item_id, same in items.items():
        first = same[0]
        yield Text(f"item:{item_id}.title", "title", first.title, any(i.title != first.title for i in same))
        yield Text(f"item:{item_id}.text", "text", first.text, any(i.text != first.text for i in same))
