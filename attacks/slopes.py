"""First-order estimates: what replacing a word or an item would do to the loss, from one gradient.

HotFlip (Ebrahimi et al., "HotFlip: white-box adversarial examples for text classification", ACL 2018, section 4.1): the
loss after unit u has become v is about L + (e_v − e_u)·∇_u L. A unit of several tokens counts with the sum of their
gradients, and a candidate of several tokens with the mean of their embeddings: exact where both have one token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from audit.attack import Goal, Probe
from audit.errors import TargetError
from audit.target import GivesGradients, Recommender, TokenGradients, describe
from audit.types import Item, Request

Floats = npt.NDArray[np.float32]
_Unit = TypeVar("_Unit")

_EVENT = re.compile(r"history\[(\d+)\](?:\.title)?\Z")
_SHOWN = re.compile(r"(history|candidates)\[(\d+)\]\.(title|text)\Z")


def white_box(target: Recommender) -> GivesGradients:
    """The target as one whose gradients can be read.

    Raises:
        TargetError: it declares gradients and has no method that gives them.
    """
    if not isinstance(target, GivesGradients):
        raise TargetError(f"{describe(target).name}: it declares gradients, but lacks `gradients` or the embeddings")
    return target


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a unit might be replaced by, with the mean embedding of each candidate's tokens.

    Attributes:
        words: texts.
        word_table: (words, dim).
        items: catalogue items.
        item_table: (items, dim).
    """

    words: tuple[str, ...]
    word_table: Floats
    items: tuple[Item, ...]
    item_table: Floats

    @classmethod
    def of(cls, target: GivesGradients, words: Sequence[str], items: Sequence[Item]) -> Candidates:
        """Look up the embeddings; what the target has no token for is left out."""
        word_rows, item_rows = target.word_embeddings(words), target.item_embeddings(items)
        return cls(*_table(words, word_rows), *_table(items, item_rows))


def _table(units: Sequence[_Unit], rows: Sequence[Floats]) -> tuple[tuple[_Unit, ...], Floats]:
    kept = [i for i, row in enumerate(rows) if len(row)]
    table = np.stack([rows[i].mean(axis=0) for i in kept]) if kept else np.zeros((0, 1), np.float32)
    return tuple(units[i] for i in kept), table


@dataclass(frozen=True, eq=False)
class Slope:
    """How the loss of a request leaves one of its units.

    Attributes:
        slope: (dim,) sum of the gradients of the unit's tokens.
        now: Σ_j e_j·g_j over its tokens: what the unit itself gives.
    """

    slope: Floats
    now: float

    def gains(self, table: Floats) -> Floats:
        """(candidates,) estimated change of the loss, for each row of a table of mean embeddings."""
        if not table.size:
            return np.zeros(0, dtype=np.float32)
        found: Floats = table @ self.slope - self.now
        return found


def event_slope(read: TokenGradients, index: int) -> Slope | None:
    """The slope of an event of the history, as the token of its item or by its title; None if it is not read."""

    def is_event(field: str) -> bool:
        found = _EVENT.match(field)
        return found is not None and int(found[1]) == index

    return _slope(read, [is_event(span.field) for span in read.spans])


def word_slope(read: TokenGradients, request: Request, field: str, start: int, end: int) -> Slope | None:
    """The slope of characters of a text field, wherever the prompt shows them; None if they are not read."""
    named = _naming(request)
    return _slope(read, [named(span.field) == field and span.start < end and span.end > start for span in read.spans])


def _slope(read: TokenGradients, chosen: Sequence[bool]) -> Slope | None:
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return None
    gradients, embeddings = read.gradients[rows], read.embeddings[rows]
    return Slope(gradients.sum(axis=0), float((gradients * embeddings).sum()))


def _naming(request: Request) -> Callable[[str], str]:
    """From the field of a span to the name under which edits reach it."""

    def name(field: str) -> str:
        shown = _SHOWN.match(field)
        if shown is None:
            return field
        index = int(shown[2])
        item = request.user.history[index].item if shown[1] == "history" else (request.candidates or ())[index]
        return f"item:{item.id}.{shown[3]}"

    return name


def sought(probe: Probe) -> tuple[list[frozenset[str]], float]:
    """Per request the ids that `gradients` should take as right, and the sign with which the loss is to rise.

    The same as `audit.attack.feedback` reads: the true next items, or the target's own clean answer, or the item to
    promote.
    """
    if probe.objective.goal == Goal.PROMOTE and probe.objective.item_id is not None:
        return [frozenset({probe.objective.item_id})] * len(probe.requests), -1.0
    known = probe.known or (None,) * len(probe.requests)
    found = []
    for request, clean, truth in zip(probe.requests, probe.clean, known, strict=True):
        if truth is not None:
            found.append(truth)
        elif request.task == "score":
            found.append(frozenset(r.item_id for r in clean.ranked if r.item_id is not None and (r.score or 0.0) > 0.5))
        else:
            found.append(frozenset(i for i in clean.ids[:1] if i is not None))
    return found, 1.0
