"""Edit: the one way in which anything ever changes a Request.

Attacks, defenses, fairness swaps and ablations are lists of edits. An edit is data: it applies purely, composes,
prints as a diff, and is stored as evidence. Edits apply one after the other: positions in a later edit refer to the
request as the earlier ones left it.

Field names, shared with the spans of a rendered prompt:
`instruction`, `note`, `turns[i]`, `passages[i]`, `attributes.NAME`, `history[i]` (an event as such: the token of its
item in a model of ids), `history[i].title`, `history[i].text`, `candidates[i].title`, `candidates[i].text`, and
`item:ID.title`, `item:ID.text` for an item wherever it occurs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, cast

from audit.errors import EditError
from audit.types import AttributeValue, Event, Item, Passage, Request, Turn


class Zone(StrEnum):
    """Who writes a field. A threat model says which zones an adversary may edit."""

    OPERATOR = "operator"
    USER = "user"
    PLATFORM = "platform"
    SELLER = "seller"
    RETRIEVED = "retrieved"


_INDEXED = re.compile(r"^(turns|passages)\[(\d+)\]\Z")
_ITEM = re.compile(r"^item:(?P<id>.*)\.(?P<part>title|text)\Z", re.DOTALL)


def zone_of(field: str) -> Zone:
    """The trust zone of a field.

    Raises:
        EditError: `field` is not a field name of this module.
    """
    if field in {"instruction", "candidates"}:
        return Zone.OPERATOR
    if field == "note" or field.startswith(("turns[", "attributes.")):
        return Zone.USER
    if field.startswith("passages"):
        return Zone.RETRIEVED
    if _ITEM.match(field) or re.match(r"^(history|candidates)\[\d+\]\.(title|text)$", field):
        return Zone.SELLER
    if field == "history" or re.match(r"^history\[\d+\]\Z", field):
        return Zone.PLATFORM
    raise EditError(f"edit: {field!r} is not an editable field; see audit.edits for the field names")


def read_text(request: Request, field: str) -> str:
    """The text that a text field holds.

    Raises:
        EditError: no such text field in this request.
    """
    if field == "instruction":
        return request.instruction
    if field == "note":
        return request.user.note
    if indexed := _INDEXED.match(field):
        entries: Sequence[Turn | Passage] = request.turns if indexed[1] == "turns" else request.passages
        index = int(indexed[2])
        if index < len(entries):
            return entries[index].text
        raise EditError(f"edit: {field!r}: the request has {len(entries)} {indexed[1]}")
    if item := _ITEM.match(field):
        for found in _items(request):
            if found.id == item["id"]:
                return found.title if item["part"] == "title" else found.text
        raise EditError(f"edit: {field!r}: the request holds no item with that id")
    raise EditError(f"edit: {field!r} is not a text field; see audit.edits for the field names")


def _items(request: Request) -> Iterable[Item]:
    for event in request.user.history:
        yield event.item
    yield from request.candidates or ()


def _write_text(request: Request, field: str, text: str) -> Request:
    if field == "instruction":
        return replace(request, instruction=text)
    if field == "note":
        return replace(request, user=replace(request.user, note=text))
    if indexed := _INDEXED.match(field):
        index = int(indexed[2])
        if indexed[1] == "turns":
            turns = list(request.turns)
            turns[index] = replace(turns[index], text=text)
            return replace(request, turns=tuple(turns))
        passages = list(request.passages)
        passages[index] = replace(passages[index], text=text)
        return replace(request, passages=tuple(passages))
    item = _ITEM.match(field)
    if item is None:
        raise EditError(f"edit: {field!r} is not a text field; see audit.edits for the field names")
    part = {"title": text} if item["part"] == "title" else {"text": text}

    def rewrite(old: Item) -> Item:
        return replace(old, **cast(Any, part)) if old.id == item["id"] else old

    return _map_items(request, rewrite)


def _map_items(request: Request, change: Callable[[Item], Item]) -> Request:
    history = tuple(
        event if (item := change(event.item)) is event.item else replace(event, item=item)
        for event in request.user.history
    )
    candidates = None if request.candidates is None else tuple(change(item) for item in request.candidates)
    return replace(request, user=replace(request.user, history=history), candidates=candidates)


@dataclass(frozen=True)
class TextEdit:
    """Replace characters `start` to `end` of a text field by `text`.

    `start == end` inserts, an empty `text` deletes.
    """

    kind: ClassVar[str] = "text"
    field: str
    start: int
    end: int
    text: str

    @property
    def zone(self) -> Zone:
        """Who writes the field."""
        return zone_of(self.field)

    def apply(self, request: Request) -> Request:
        """The request with the text changed."""
        old = read_text(request, self.field)
        if not 0 <= self.start <= self.end <= len(old):
            raise EditError(
                f"edit: {self.field}: characters {self.start} to {self.end} do not lie in a text of {len(old)}"
            )
        return _write_text(request, self.field, old[: self.start] + self.text + old[self.end :])


@dataclass(frozen=True)
class HistoryInsert:
    """Insert an event so that it stands at `position` of the history (0 = oldest)."""

    kind: ClassVar[str] = "history_insert"
    position: int
    event: Event

    @property
    def zone(self) -> Zone:
        """Who writes the history."""
        return Zone.PLATFORM

    def apply(self, request: Request) -> Request:
        """The request with one more event."""
        history = request.user.history
        _check_position("history_insert", self.position, len(history) + 1)
        return _with_history(request, (*history[: self.position], self.event, *history[self.position :]))


@dataclass(frozen=True)
class HistoryDrop:
    """Drop the event at `position` of the history."""

    kind: ClassVar[str] = "history_drop"
    position: int

    @property
    def zone(self) -> Zone:
        """Who writes the history."""
        return Zone.PLATFORM

    def apply(self, request: Request) -> Request:
        """The request with one event less."""
        history = request.user.history
        _check_position("history_drop", self.position, len(history))
        return _with_history(request, (*history[: self.position], *history[self.position + 1 :]))


@dataclass(frozen=True)
class HistoryReplace:
    """Put another event at `position` of the history."""

    kind: ClassVar[str] = "history_replace"
    position: int
    event: Event

    @property
    def zone(self) -> Zone:
        """Who writes the history."""
        return Zone.PLATFORM

    def apply(self, request: Request) -> Request:
        """The request with one event exchanged."""
        history = request.user.history
        _check_position("history_replace", self.position, len(history))
        return _with_history(request, (*history[: self.position], self.event, *history[self.position + 1 :]))


@dataclass(frozen=True)
class HistoryReorder:
    """Put the history in another order: event `order[i]` moves to position i."""

    kind: ClassVar[str] = "history_reorder"
    order: tuple[int, ...]

    @property
    def zone(self) -> Zone:
        """Who writes the history."""
        return Zone.PLATFORM

    def apply(self, request: Request) -> Request:
        """The request with the same events in another order."""
        history = request.user.history
        _check_order("history_reorder", self.order, len(history))
        return _with_history(request, tuple(history[i] for i in self.order))


@dataclass(frozen=True)
class SetAttribute:
    """Give an attribute of the user another value; None removes it."""

    kind: ClassVar[str] = "set_attribute"
    name: str
    value: AttributeValue | None

    @property
    def zone(self) -> Zone:
        """Who writes the attribute."""
        return Zone.USER

    def apply(self, request: Request) -> Request:
        """The request with the attribute set or removed."""
        attributes = {k: v for k, v in request.user.attributes.items() if k != self.name}
        if self.value is not None:
            attributes[self.name] = self.value
        return replace(request, user=replace(request.user, attributes=attributes))


@dataclass(frozen=True)
class AddPassage:
    """Insert a retrieved passage so that it stands at `position`."""

    kind: ClassVar[str] = "add_passage"
    position: int
    passage: Passage

    @property
    def zone(self) -> Zone:
        """Who writes the passages."""
        return Zone.RETRIEVED

    def apply(self, request: Request) -> Request:
        """The request with one more passage."""
        passages = request.passages
        _check_position("add_passage", self.position, len(passages) + 1)
        return replace(request, passages=(*passages[: self.position], self.passage, *passages[self.position :]))


@dataclass(frozen=True)
class CandidateReorder:
    """Show the candidates in another order: candidate `order[i]` moves to position i."""

    kind: ClassVar[str] = "candidate_reorder"
    order: tuple[int, ...]

    @property
    def zone(self) -> Zone:
        """Who orders the candidates."""
        return Zone.OPERATOR

    def apply(self, request: Request) -> Request:
        """The request with the same candidates in another order."""
        candidates = request.candidates
        if candidates is None:
            raise EditError("edit: candidate_reorder: the request has no candidates to reorder")
        _check_order("candidate_reorder", self.order, len(candidates))
        return replace(request, candidates=tuple(candidates[i] for i in self.order))


Edit = (
    TextEdit
    | HistoryInsert
    | HistoryDrop
    | HistoryReplace
    | HistoryReorder
    | SetAttribute
    | AddPassage
    | CandidateReorder
)

_KINDS: Mapping[str, type[Any]] = {
    cls.kind: cls
    for cls in (
        TextEdit,
        HistoryInsert,
        HistoryDrop,
        HistoryReplace,
        HistoryReorder,
        SetAttribute,
        AddPassage,
        CandidateReorder,
    )
}


def _check_position(kind: str, position: int, below: int) -> None:
    if not 0 <= position < below:
        raise EditError(f"edit: {kind}: position {position} must be at least 0 and below {below}")


def _check_order(kind: str, order: Sequence[int], length: int) -> None:
    if sorted(order) != list(range(length)):
        raise EditError(f"edit: {kind}: {list(order)} is not an order of {length} entries")


def _with_history(request: Request, history: tuple[Event, ...]) -> Request:
    return replace(request, user=replace(request.user, history=history))


def apply(edits: Iterable[Edit], request: Request) -> Request:
    """Apply the edits one after the other.

    Returns:
        A new request, or `request` itself when there are no edits.

    Raises:
        EditError: an edit does not fit the request as the earlier ones left it.
    """
    for edit in edits:
        request = edit.apply(request)
    return request


def to_dict(edit: Edit) -> dict[str, Any]:
    """JSON-compatible form of an edit."""
    data: dict[str, Any] = {"kind": edit.kind}
    for name, value in vars(edit).items():
        if isinstance(value, Event | Passage):
            data[name] = value.to_dict()
        elif isinstance(value, tuple):
            data[name] = list(value)
        else:
            data[name] = value
    return data


def from_dict(data: Mapping[str, Any]) -> Edit:
    """Inverse of `to_dict`.

    Raises:
        EditError: the kind is unknown or a field is missing.
    """
    fields = {k: v for k, v in data.items() if k != "kind"}
    cls = _KINDS.get(str(data.get("kind")))
    if cls is None:
        raise EditError(f"edit: kind {data.get('kind')!r} is unknown; known: {', '.join(_KINDS)}")
    try:
        if "event" in fields:
            fields["event"] = Event.from_dict(fields["event"])
        if "passage" in fields:
            fields["passage"] = Passage.from_dict(fields["passage"])
    except KeyError as error:
        raise EditError(f"edit: {data.get('kind')}: {error} is missing") from None
    for name in ("order", "value"):
        if isinstance(fields.get(name), list):
            fields[name] = tuple(fields[name])
    try:
        return cast(Edit, cls(**fields))
    except TypeError as error:
        raise EditError(f"edit: {data.get('kind')}: {error}") from None


@dataclass(frozen=True)
class Change:
    """One line of a diff, for people.

    Attributes:
        field: what changed.
        pieces: (`equal` | `delete` | `insert`, text), in reading order.
    """

    field: str
    pieces: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        marks = {"equal": "{}", "delete": "[-{}-]", "insert": "{{+{}+}}"}
        return f"{self.field}: " + "".join(marks[how].format(text) for how, text in self.pieces)


def diff(before: Request, after: Request) -> list[Change]:
    """What differs between two requests, field by field, for evidence that a person reads.

    Text is compared by words, histories and candidate lists by entries.
    """
    changes = [
        Change(name, _pieces(_words(old), _words(new), ""))
        for name, old, new in (
            ("instruction", before.instruction, after.instruction),
            ("note", before.user.note, after.user.note),
        )
        if old != new
    ]
    for name in sorted({*before.user.attributes, *after.user.attributes}):
        old_value, new_value = before.user.attributes.get(name), after.user.attributes.get(name)
        if old_value != new_value:
            changes.append(Change(f"attributes.{name}", _pieces(_shown(old_value), _shown(new_value), "")))
    lists: tuple[tuple[str, list[str], list[str]], ...] = (
        ("history", _events(before), _events(after)),
        ("candidates", _candidates(before), _candidates(after)),
        ("passages", [p.text for p in before.passages], [p.text for p in after.passages]),
        ("turns", [t.text for t in before.turns], [t.text for t in after.turns]),
    )
    for name, old_list, new_list in lists:
        if old_list == new_list:
            continue
        if len(old_list) == len(new_list) and sorted(old_list) != sorted(new_list):
            changes.extend(
                Change(f"{name}[{i}]", _pieces(_words(a), _words(b), ""))
                for i, (a, b) in enumerate(zip(old_list, new_list, strict=True))
                if a != b
            )
        else:
            changes.append(Change(name, _pieces(old_list, new_list, " · ")))
    return changes


def _words(text: str) -> list[str]:
    return re.findall(r"\s+|[^\s]+", text)


def _shown(value: AttributeValue | None) -> list[str]:
    return [] if value is None else [str(value)]


def _item_line(item: Item) -> str:
    return f"{item.title} — {item.text}" if item.text else item.title


def _events(request: Request) -> list[str]:
    return [_item_line(e.item) + (f" ({e.rating:g})" if e.rating is not None else "") for e in request.user.history]


def _candidates(request: Request) -> list[str]:
    return [_item_line(item) for item in request.candidates or ()]


def _pieces(old: Sequence[str], new: Sequence[str], glue: str) -> tuple[tuple[str, str], ...]:
    pieces: list[tuple[str, str]] = []
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(("equal", glue.join(old[i1:i2])))
        else:
            if i2 > i1:
                pieces.append(("delete", glue.join(old[i1:i2])))
            if j2 > j1:
                pieces.append(("insert", glue.join(new[j1:j2])))
    if not glue:
        return tuple(pieces)
    return tuple((how, text + (glue if n + 1 < len(pieces) else "")) for n, (how, text) in enumerate(pieces))
