"""The texts of a request in which copies may differ, and how a copy gets other ones.

Ids never change, and neither does what an answer is matched with: the titles of candidates that a ranking names. A
score belongs to its candidate by place, so there the title of a candidate is a text like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from audit.errors import ConfigError, nearest
from audit.target import Input, TargetInfo
from audit.types import Event, Item, Request
from defenses.fields import READ_AS, Kind, Text, untrusted

KINDS: tuple[Kind, ...] = get_args(Kind)


def check_kinds(kinds: Sequence[str], defense: str) -> tuple[Kind, ...]:
    """The kinds in the order of `KINDS`, each once.

    Raises:
        ConfigError: there is none, or one is unknown.
    """
    where = f"defenses.{defense}.fields"
    if isinstance(kinds, str) or not kinds:
        raise ConfigError(f"{where}: {kinds!r} must be a list with at least one of {', '.join(KINDS)}")
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"{where}: {kind!r} is no kind of text; {nearest(str(kind), KINDS)}")
    return tuple(kind for kind in KINDS if kind in kinds)


def needed(kinds: Sequence[Kind]) -> frozenset[Input]:
    """What a target must read (one of them suffices) for any of these texts to reach it."""
    return frozenset(READ_AS[kind] for kind in kinds)


def free_texts(request: Request, info: TargetInfo, kinds: Sequence[Kind] = KINDS) -> list[Text]:
    """Texts that nobody trusted wrote, that the target reads, and that no answer is matched with."""
    named = () if request.task == "score" else request.candidates or ()
    kept = {f"item:{item.id}.title" for item in named}
    return [text for text in untrusted(request, info) if text.kind in kinds and text.field not in kept]


def rewritten(request: Request, texts: Mapping[str, str]) -> Request:
    """The request with other texts in some fields, by the names of `audit.edits`; an item in all its places.

    The same as one edit for each field, in one pass: smoothing writes thousands of copies.
    """

    def item(old: Item) -> Item:
        title, text = (texts.get(f"item:{old.id}.{part}") for part in ("title", "text"))
        if title is None and text is None:
            return old
        return replace(old, title=old.title if title is None else title, text=old.text if text is None else text)

    def event(old: Event) -> Event:
        new = item(old.item)
        return old if new is old.item else replace(old, item=new)

    user = replace(
        request.user,
        history=tuple(event(e) for e in request.user.history),
        note=texts.get("note", request.user.note),
    )
    return replace(
        request,
        user=user,
        candidates=None if request.candidates is None else tuple(item(c) for c in request.candidates),
        passages=tuple(replace(p, text=texts.get(f"passages[{i}]", p.text)) for i, p in enumerate(request.passages)),
        turns=tuple(replace(t, text=texts.get(f"turns[{i}]", t.text)) for i, t in enumerate(request.turns)),
    )
