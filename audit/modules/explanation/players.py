"""Players: the parts of a request whose influence is measured, and how each is taken away.

A part is taken away by edits alone, in one of three ways, for none of them is neutral: `delete` leaves a shorter list,
`placeholder` keeps length and positions but shows words that no user wrote, `swap` keeps the request natural but puts
something else in its place: for an item of the history, one as popular that the user has not had.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from audit.edits import CandidateReorder, Edit, HistoryDrop, HistoryReplace, SetAttribute, TextEdit, apply, read_text
from audit.errors import nearest
from audit.types import AttributeValue, Item, Request

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

Operator = Literal["delete", "placeholder", "swap"]
OPERATORS: tuple[Operator, ...] = ("delete", "placeholder", "swap")
FIELDS = ("history", "attributes", "note", "passages", "turns", "instruction", "candidates")
"""Fields whose parts can be players; of `candidates` it is the order, not the items."""

PLACEHOLDER = Item("placeholder", "(not shown)")
"""What stands in the place of an item."""
_NOTHING = "(not shown)"
_INDEXED = re.compile(r"^history\[(\d+)\]\Z")

Swap = Item | AttributeValue | tuple[int, ...]
"""What stands in the place of a player under `swap`: an item, another value, or an order of the candidates."""
NO_SWAP = "the catalogue holds too few items that could be exchanged for those of the history"
"""Why a request cannot be asked with its items exchanged, as the end of a sentence."""


@dataclass(frozen=True)
class Player:
    """One part of a request.

    Attributes:
        field: its name as in `audit.edits`: `history[3]`, `attributes.age`, `note`, `passages[0]`, …; `candidates` for
            their order.
        label: what a person calls it, such as the item's title.
    """

    field: str
    label: str

    @cached_property
    def position(self) -> int | None:
        """Place in the history, 0 for the oldest; None for other fields."""
        found = _INDEXED.match(self.field)
        return int(found[1]) if found else None


def check_items(items: object, least: int) -> None:
    """Raise ValueError where `items` is neither a whole number of at least `least` nor None."""
    if items is not None and (isinstance(items, bool) or not isinstance(items, int) or items < least):
        raise ValueError(f"items: {items!r} must be a whole number of at least {least}, or null for the whole history")


def players(request: Request, fields: Sequence[str] = ("history",), items: int | None = None) -> tuple[Player, ...]:
    """The parts of some fields that a request has, in the order of the fields.

    Args:
        request: as it is asked.
        fields: some of `FIELDS`.
        items: how many of the latest items of the history are players, the others staying as they are; None for all.

    Raises:
        ValueError: a field that has no players.
    """
    found: list[Player] = []
    for name in fields:
        if name == "history":
            history = request.user.history
            first = 0 if items is None else max(0, len(history) - items)
            found += [
                Player(f"history[{i}]", event.item.title or event.item.id)
                for i, event in enumerate(history[first:], start=first)
            ]
        elif name == "attributes":
            found += [Player(f"attributes.{key}", f"{key}: {v}") for key, v in sorted(request.user.attributes.items())]
        elif name in ("note", "instruction"):
            found += [Player(name, name)] if read_text(request, name) else []
        elif name == "passages":
            found += [Player(f"passages[{i}]", p.source or p.id) for i, p in enumerate(request.passages)]
        elif name == "turns":
            found += [Player(f"turns[{i}]", f"turn {i + 1} ({t.role})") for i, t in enumerate(request.turns)]
        elif name == "candidates":
            found += [Player("candidates", "order of the candidates")] if len(request.candidates or ()) > 1 else []
        else:
            raise ValueError(f"fields: {name!r} has no parts to take away; {nearest(name, FIELDS)}")
    return tuple(found)


def kept(
    request: Request,
    players: Sequence[Player],
    subset: Collection[int],
    operator: Operator,
    swaps: Mapping[str, Swap] | None = None,
) -> Request:
    """The request with only some of its players left.

    Args:
        request: as it was asked.
        players: of that request (`players`).
        subset: numbers of those that stay.
        operator: how the others are taken away.
        swaps: what stands in their places, by field (`swaps_for`); needed by `swap`, and for the candidates.
    """
    gone = [player for number, player in enumerate(players) if number not in subset]
    others = [player for player in gone if player.position is None]
    left = apply(removals(request, others, operator, swaps), request)
    places = {player.position: player for player in gone if player.position is not None}
    if not places:
        return left
    # What the edits of `removals` come to, in one step: a plan holds tens of thousands of such requests.
    events = tuple(
        event if place not in places else replace(event, item=_stand_in(places[place], operator, swaps))
        for place, event in enumerate(request.user.history)
        if place not in places or operator != "delete"
    )
    return replace(left, user=replace(left.user, history=events))


def removals(
    request: Request, gone: Sequence[Player], operator: Operator, swaps: Mapping[str, Swap] | None = None
) -> list[Edit]:
    """The edits that take some players away.

    Raises:
        ValueError: an operator that does not exist, or no swap for one of them.
    """
    if operator not in OPERATORS:
        raise ValueError(f"operators: {operator!r} is not a way to take items away; {nearest(operator, OPERATORS)}")
    edits: list[Edit] = []
    dropped: list[int] = []
    for player in gone:
        place = player.position
        if place is None:
            edits.append(_without(request, player.field, operator, swaps or {}))
        elif operator == "delete":
            dropped.append(place)
        else:
            # Rating and time stay, so that it stands in the same list at the same place.
            item = _stand_in(player, operator, swaps)
            edits.append(HistoryReplace(place, replace(request.user.history[place], item=item)))
    # From the latest on: an earlier drop would move the later ones.
    return edits + [HistoryDrop(place) for place in sorted(dropped, reverse=True)]


def swaps_for(
    request: Request,
    players: Sequence[Player],
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    explained: str | None = None,
) -> dict[str, Swap] | None:
    """What stands in the place of each player under `swap`; None where the catalogue holds too few other items.

    For an item of the history: one drawn from the same tenth of the catalogue by popularity (the nearest ones where
    that holds none), that the user has not had, that is no candidate, and that takes no other item's place. For an
    attribute: the value of another user, different where there is one. For other text: nothing. For the candidates:
    another order.

    Args:
        request: as it was asked.
        players: of that request.
        dataset: gives popularity and other users' attributes.
        rng: source of the draws; equal streams give equal swaps.
        explained: id of the item that is explained: it never stands in for another, or its own value would be measured
            with it in the history. Known only once the target has answered; a plan leaves it out.
    """
    history = [p for p in players if p.position is not None]
    items = _items_as_popular(request, history, dataset, rng, explained) if history else {}
    if items is None:
        return None
    found: dict[str, Swap] = dict(items)
    for player in players:
        if player.position is not None:
            continue
        if player.field.startswith("attributes."):
            name = player.field.partition(".")[2]
            own = request.user.attributes.get(name)
            others = sorted({a[name] for a in dataset.users.values() if name in a and a[name] != own}, key=repr)
            found[player.field] = others[int(rng.integers(len(others)))] if others else _NOTHING
        elif player.field == "candidates":
            found[player.field] = _another_order(len(request.candidates or ()), rng)
        else:
            found[player.field] = _NOTHING
    return found


def _without(request: Request, field: str, operator: Operator, swaps: Mapping[str, Swap]) -> Edit:
    if field == "candidates":
        # There is no request without an order: under every operator it is another one.
        return CandidateReorder(cast(tuple[int, ...], _swap(swaps, field)))
    if field.startswith("attributes."):
        value: AttributeValue | None = None
        if operator == "placeholder":
            value = _NOTHING
        elif operator == "swap":
            value = cast(AttributeValue, _swap(swaps, field))
        return SetAttribute(field.partition(".")[2], value)
    return TextEdit(field, 0, len(read_text(request, field)), "" if operator == "delete" else _NOTHING)


def _stand_in(player: Player, operator: Operator, swaps: Mapping[str, Swap] | None) -> Item:
    """What stands in the place of an item of the history."""
    return PLACEHOLDER if operator == "placeholder" else cast(Item, _swap(swaps or {}, player.field))


def _swap(swaps: Mapping[str, Swap], field: str) -> Swap:
    if field not in swaps:
        raise ValueError(f"swaps: there is none for {field!r}; make them with swaps_for")
    return swaps[field]


def _another_order(count: int, rng: np.random.Generator) -> tuple[int, ...]:
    """An order in which no candidate keeps its place: a rotation of a random order would not promise that."""
    return tuple(np.roll(np.arange(count), int(rng.integers(1, count))).tolist())


def _items_as_popular(
    request: Request, history: Sequence[Player], dataset: Dataset, rng: np.random.Generator, explained: str | None
) -> dict[str, Item] | None:
    items, known = dataset.catalog.items_in_order, dataset.popularity
    order = sorted(range(len(items)), key=lambda i: (known[items[i].id], items[i].id))
    place = {items[i].id: rank for rank, i in enumerate(order)}
    events = request.user.history
    had = {e.item.id for e in events} | {c.id for c in request.candidates or ()}
    had |= {explained} if explained is not None else set()
    if request.user.id in dataset.sequences:
        had |= {items[i].id for i in dataset.sequences[request.user.id]}
    free = np.array([rank for rank, i in enumerate(order) if items[i].id not in had], dtype=np.int64)
    if len(free) < len(history):
        return None
    found: dict[str, Item] = {}
    for player in history:
        title = events[player.position or 0].item
        rank = place.get(title.id, len(order) // 2)  # an item outside the catalogue is as popular as the middle one
        decile = free[free * 10 // len(order) == rank * 10 // len(order)]
        near = decile if len(decile) else free[np.argsort(np.abs(free - rank), kind="stable")[:1]]
        drawn = int(near[int(rng.integers(len(near)))])
        free = free[free != drawn]
        found[player.field] = items[order[drawn]]
    return found
