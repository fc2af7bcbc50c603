"""Targets whose recommendation is decided by known items of the history, and their clean twins."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from helpers import Scripted
from part_world import small_world

from audit.target import Input
from audit.types import Answer, Ranked, Request

PAST = {user: [event.item.id for event in small_world().events(user)[:-1]] for user in small_world().user_ids}
"""The full history of each user before the held-out item."""


def causes(asked: Request, places: Sequence[int]) -> set[str]:
    """Ids of the items that decide, by their places in the user's last ten events."""
    return {PAST[asked.user.id][-10:][place] for place in places}


def decided(rule: Callable[[Request], bool], *, scores: bool = False, noise: float = 0.0, **info: object) -> Scripted:
    """Ranks the candidates as they stand where the rule holds, and the second before the first where not."""
    asked_before: dict[str, int] = {}

    def answer(asked: Request) -> Answer:
        first = rule(asked)
        if noise:
            number = asked_before[asked.digest] = asked_before.get(asked.digest, -1) + 1
            drawn = int(hashlib.sha256(f"{asked.digest}/{number}".encode()).hexdigest(), 16) % 1000 / 1000
            first = not first if drawn < noise else first
        one, two, *rest = asked.candidates or ()
        order = [one, two, *rest] if first else [two, one, *rest]
        return Answer(tuple(Ranked(c.id, c.title, 9.5 - i if scores else None) for i, c in enumerate(order[: asked.k])))

    return Scripted(answer, honours=frozenset({Input.HISTORY, Input.ITEM_TEXT}), **info)


def present(asked: Request, places: Sequence[int]) -> set[int]:
    """Which of the deciding places are still there."""
    there = {event.item.id for event in asked.user.history}
    mine = PAST[asked.user.id][-10:]
    return {place for place in places if mine[place] in there}


def single(place: int = 4, **options: object) -> Scripted:
    """One item decides."""
    return decided(lambda asked: bool(present(asked, [place])), **options)  # type: ignore[arg-type]


def either(*places: int, **options: object) -> Scripted:
    """Any one of some items is enough: they must all go."""
    return decided(lambda asked: bool(present(asked, places)), **options)  # type: ignore[arg-type]


def deaf(**options: object) -> Scripted:
    """Never looks at the history."""
    return decided(lambda asked: True, **options)  # type: ignore[arg-type]


def yes_or_no(place: int = 4) -> Scripted:
    """Says yes to everything while one item of the history it was first shown is there."""
    cause: dict[str, str] = {}

    def answer(asked: Request) -> Answer:
        there = [event.item.id for event in asked.user.history]
        score = 0.8 if cause.setdefault(asked.user.id, there[place]) in there else 0.2
        return Answer(tuple(Ranked(c.id, c.title, score + int(c.id) / 10_000) for c in asked.candidates or ()))

    return Scripted(answer, tasks=("score",))
