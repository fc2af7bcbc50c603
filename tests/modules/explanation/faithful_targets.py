"""Targets of which it is known what moves them: one item, known weights, a place, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from helpers import Scripted

from audit.target import Input, Insight
from audit.types import Answer, Event, Item, Ranked, Request


def digest(*parts: object) -> float:
    """A number in [0, 1) that looks random and is always the same."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:12], 16) / 16**12


def scoring(score: Callable[[Sequence[Event], Item, Request], float], **info: object) -> Scripted:
    """Ranks the candidates by a score of history and item, and shows it."""

    def answer(asked: Request) -> Answer:
        scores = {c.id: score(asked.user.history, c, asked) for c in asked.candidates or ()}
        order = sorted(asked.candidates or (), key=lambda c: (-scores[c.id], c.id))
        return Answer(tuple(Ranked(c.id, c.title, scores[c.id]) for c in order[: asked.k]))

    declared = {"honours": frozenset({Input.HISTORY, Input.ITEM_TEXT}), "reveals": frozenset({Insight.SCORES})}
    return Scripted(answer, **(declared | info))


def weight(event: Event, item: Item) -> float:
    """What an event is worth for an item, wherever it stands: above 1 so that scores are no probabilities."""
    return 4.0 * digest(event.item.id, item.id)


def linear() -> Scripted:
    """The sum of what each event is worth: its Shapley values by deletion are the weights' differences."""
    return scoring(lambda history, item, _: sum(weight(e, item) for e in history))


def single_cause(causes: dict[str, str]) -> Scripted:
    """Recommends a candidate while one event of the user's history is there; else it has a fixed order.

    Args:
        causes: per user, the id of that event's item.
    """

    def score(history: Sequence[Event], item: Item, asked: Request) -> float:
        first = min(asked.candidates or (), key=lambda c: c.id)
        there = any(e.item.id == causes[asked.user.id] for e in history)
        if item.id == first.id:
            return 4.5 if there else -0.5
        return digest(item.id)

    return scoring(score)


def by_place() -> Scripted:
    """The later an event stands the more it counts, whatever it is: its items matter by their place alone."""

    def score(history: Sequence[Event], item: Item, asked: Request) -> float:
        n = len(history)
        first = min(asked.candidates or (), key=lambda c: c.id)
        known = [e.item.id != "placeholder" for e in history]
        return digest(item.id) + (sum((p + 1) / n for p in range(n) if known[p]) if item.id == first.id else 0.0)

    return scoring(score)


def noise() -> Scripted:
    """Every request is another number: nothing that was found by one removal holds for another."""
    return scoring(lambda history, item, _: 2.0 + 3 * digest([e.item.id for e in history], item.id))


def deaf() -> Scripted:
    """Does not look at the history."""
    return scoring(lambda _, item, __: 2.0 + digest(item.id))
