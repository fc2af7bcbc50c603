"""Insertion positioning: which words and events of a request its answer rests on (CheatAgent, section 3.3.1).

Each unit is masked, one at a time, and the loss of what is left is its importance: I_i = L(X without i, Y) − L(X, Y).
L(X, Y) is the same for all units, so it is not asked. Words and events compete in one ranking. RPGP, the rival that
inserts at random where CheatAgent inserts with care, starts from the same places.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, get_args

from attacks.places import Place, insertion, item_places, masked, word_places
from audit.attack import Edits, Probe, Scouting
from audit.edits import HistoryDrop
from audit.errors import ConfigError
from audit.target import TargetInfo
from audit.types import Item, Request

Kinds = Literal["both", "words", "items"]
"""What is inserted: words, history items, or both."""

Variant = Literal["paper", "released-code"]

SHARE = 3
"""One query in so many goes into positioning at most: what is left must find something to insert."""


def places(request: Request, info: TargetInfo, edits: Kinds = "both") -> list[Place]:
    """All places where this request can be disturbed: words in reading order, then events, oldest first."""
    words = word_places(request, info) if edits != "items" else []
    return words + (item_places(request, info) if edits != "words" else [])


def random_places(probe: Probe, limit: int, edits: Kinds = "both") -> list[Place]:
    """Up to `limit` distinct places, drawn without any query: what positioning must beat."""
    everywhere = places(probe.request, probe.info, edits)
    return [everywhere[i] for i in probe.rng.permutation(len(everywhere))[:limit]]


def important_places(
    probe: Probe,
    limit: int,
    *,
    edits: Kinds = "both",
    variant: Variant = "paper",
    fill: Callable[[Place], str | Item] | None = None,
) -> Generator[Sequence[Edits], Any, list[Place]]:
    """The places on which the answer rests most; use with `yield from`.

    At most a third of what is left of the budget is spent. Where that does not cover all places, a random subset is
    measured, and what was not measured follows in random order. Equally important places are in random order too. A
    place whose masking gives no readable answer comes last. What is asked here is never what the search has found.

    Args:
        probe: the user under attack.
        limit: how many places to return, at most.
        edits: which places compete.
        variant: `paper` masks one event at a time; `released-code` masks each pair of neighbours, and what is inserted
            goes between the two.
        fill: an extension: what to try at a place. Places are then ranked by what its insertion does, not by what
            masking does. Where the newest event weighs most, what is inserted behind it does most harm, though the
            event itself is hardly missed.

    Returns:
        Distinct places, the most important first.
    """
    request = probe.request
    everywhere = places(request, probe.info, edits)
    if variant == "released-code":
        last = len(request.user.history) - 1
        everywhere = [p for p in everywhere if p.kind == "word" or p.start < last or last < 1]
    everywhere = [everywhere[i] for i in probe.rng.permutation(len(everywhere))]
    measured = everywhere[: probe.left // SHARE]
    if not measured:
        return everywhere[:limit]
    if fill is None:
        losses = yield Scouting(_without(place, request, variant) for place in measured)
    else:
        losses = yield [(insertion(place, fill(place), request),) for place in measured]
    order = sorted(range(len(measured)), key=lambda i: -losses[i])
    return [*(measured[i] for i in order), *everywhere[len(measured) :]][:limit]


def _without(place: Place, request: Request, variant: Variant) -> Edits:
    if variant == "released-code" and place.kind == "item" and place.end < len(request.user.history):
        return HistoryDrop(place.start + 1), HistoryDrop(place.start)
    return masked(place, request)


def check_kinds(edits: str, variant: str) -> None:
    """Refuse options that do not exist.

    Raises:
        ConfigError: naming the option, its value and what it can be.
    """
    for option, value, known in (("edits", edits, get_args(Kinds)), ("variant", variant, get_args(Variant))):
        if value not in known:
            raise ConfigError(f"{option}: {value!r} must be one of {', '.join(known)}")
