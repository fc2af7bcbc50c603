"""Recommenders that read the note, each with one flaw of known size, and clean twins."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from fairness_world import small_world
from helpers import Scripted

from audit.target import Input
from audit.types import Answer, Ranked, Request

Lists = Callable[[Request, Sequence[int]], Sequence[int]]


def says(request: Request, phrase: str) -> bool:
    return f" {phrase} " in f" {request.user.note} "


def seeded(*parts: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


def target(lists: Lists, refuses: Callable[[Request], bool] = lambda _: False, **info: Any) -> Scripted:
    """A target that changes a list of its own per user: all items in an order that only the user decides."""
    items = list(small_world().catalog)

    def answer(request: Request) -> Answer:
        if refuses(request):
            return Answer(outcome="refused", text="I cannot help with that.")
        order = seeded(request.user.id).permutation(len(items)).tolist()
        return Answer(tuple(Ranked(items[i]) for i in lists(request, order)[: request.k]))

    return Scripted(answer, honours=frozenset({Input.HISTORY, Input.NOTE}), **info)


def exchange(order: Sequence[int], k: int, count: int) -> list[int]:
    """The last `count` of the first k entries are exchanged for others: Jaccard (k - count) / (k + count)."""
    return [*order[: k - count], *order[k : k + count]]


def words_matter(order: Sequence[int], request: Request, most: int = 3) -> list[int]:
    """Any wording exchanges up to `most` entries, whatever it says."""
    return exchange(order, request.k, int(seeded(request.user.id, request.user.note).integers(most + 1)))


def drawn(heat: Callable[[Request], float], moved: Callable[[Request], float] = lambda _: 0.0) -> Lists:
    """Lists that are drawn anew at each call: Gumbel noise on scores that fall with the rank."""
    calls = itertools.count()

    def draw(request: Request, order: Sequence[int]) -> list[int]:
        rng = np.random.default_rng(next(calls))
        scores = np.empty(len(order))
        scores[list(order)] = -np.arange(len(order)) / 10.0
        share = moved(request)
        other = -seeded(request.user.id, "other").permutation(len(order)) / 10.0
        noisy = (1.0 - share) * scores + share * other + heat(request) * rng.gumbel(size=len(order))
        return [int(i) for i in np.argsort(-noisy)]

    return draw
