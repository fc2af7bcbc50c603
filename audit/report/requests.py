"""A request, field by field, each with who writes it: what a target is told, and what an adversary could edit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from audit.edits import Zone, zone_of
from audit.text import clip, count, number, one_line, visible
from audit.types import Item, Request

ZONES: dict[Zone, str] = {
    Zone.OPERATOR: "the operator's",
    Zone.USER: "the user's own",
    Zone.PLATFORM: "the platform's record",
    Zone.SELLER: "a seller's text",
    Zone.RETRIEVED: "retrieved",
}
"""Who writes a field, as a reader says it."""

MOST_EVENTS, MOST_ITEMS, LONGEST = 200, 200, 4000


@dataclass(frozen=True)
class Part:
    """One piece of text with its writer."""

    text: str
    zone: Zone


@dataclass(frozen=True)
class Field:
    """One field.

    Attributes:
        name: as edits name it.
        lines: each a run of pieces.
        more: what is not shown, in words.
    """

    name: str
    lines: tuple[tuple[Part, ...], ...]
    more: str = ""


def fields(request: Request) -> list[Field]:
    """The fields of a request that hold anything, safe to print but not yet escaped for a markup."""
    user = request.user
    found = [
        Field("task", ((Part(f"{request.task}, {count(request.k, 'item')} wanted", Zone.OPERATOR),),)),
        Field("instruction", _lines(request.instruction, "instruction")),
        *(
            Field(
                f"attributes.{name}", ((Part(f"{one_line(name)}: {one_line(value)}", zone_of(f"attributes.{name}")),),)
            )
            for name, value in user.attributes.items()
        ),
        Field("note", _lines(user.note, "note")),
        *(Field(f"turns[{i}]", _lines(f"{t.role}: {t.text}", f"turns[{i}]")) for i, t in enumerate(request.turns)),
        Field(
            "history",
            tuple(
                (Part(_stars(event.rating), Zone.PLATFORM), *_item(event.item))
                if event.rating is not None
                else tuple(_item(event.item))
                for event in user.history[-MOST_EVENTS:]
            ),
            _left_out(len(user.history) - MOST_EVENTS, "earlier event"),
        ),
        *(Field(f"passages[{i}]", _lines(p.text, f"passages[{i}]")) for i, p in enumerate(request.passages)),
        Field(
            "candidates",
            tuple(tuple(_item(item)) for item in (request.candidates or ())[:MOST_ITEMS]),
            _left_out(len(request.candidates or ()) - MOST_ITEMS, "further candidate"),
        ),
    ]
    return [field for field in found if field.lines]


def _lines(text: str, field: str) -> tuple[tuple[Part, ...], ...]:
    return ((Part(clip(visible(text), LONGEST), zone_of(field)),),) if text else ()


def _item(item: Item) -> Iterable[Part]:
    yield Part(one_line(item.title), Zone.SELLER)
    if item.text:
        yield Part(clip(one_line(item.text), 300), Zone.SELLER)


def _stars(rating: float) -> str:
    return f"rated {number(rating).rstrip('0').rstrip('.')}"


def _left_out(n: int, noun: str) -> str:
    return f"{count(n, noun)} not shown" if n > 0 else ""
