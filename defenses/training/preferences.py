"""Preference pairs for a yes/no target: on the attacked request, the decision made on the clean one is preferred.

Chosen is what the target decided about an item when it was asked plainly, rejected is the other word. So no truth is
needed, and the target is not taught to be right, but to stay with what it said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audit.edits import Edit, apply
from audit.errors import ConfigError
from audit.exchanges import Exchange
from audit.target import Recommender
from audit.types import Request

Render = Callable[[Request, int], str]
"""The prompt that asks about one candidate of a request, by its index."""

Perturb = Callable[[Request, np.random.Generator], Sequence[Edit]]
"""What is done to a clean request; an attack's `craft`, or anything else that edits."""

Answers = tuple[str, str]
"""The two words of a decision, the positive one first, with the blank before them."""


@dataclass(frozen=True)
class Pair:
    """One preference.

    Attributes:
        prompt: what the target reads.
        chosen: the word it should say.
        rejected: the word it should not say.
        asked: whether the prompt is an attacked one, or the clean one, which keeps the target where it was.
        flipped: whether the target did say the rejected word, as far as known.
    """

    prompt: str
    chosen: str
    rejected: str
    asked: Literal["attacked", "clean"]
    flipped: bool = False


def pairs(found: Sequence[Exchange], render: Render, answers: Answers) -> list[Pair]:
    """A clean pair for each candidate of each exchange, and an attacked one where its prompt changed; equal ones once.

    Only exchanges of the task `score` whose clean answer could be read count, and of those the candidates that the
    edited request still has.

    Raises:
        ConfigError: there is no pair.
    """
    made: dict[Pair, None] = {}
    for one in found:
        if one.before.task != "score" or one.clean.outcome != "ok":
            continue
        scores = {entry.item_id: entry.score for entry in one.clean.ranked}
        others = {entry.item_id: entry.score for entry in one.attacked.ranked} if one.attacked is not None else {}
        clean = {item.id: i for i, item in enumerate(one.before.candidates or ())}
        for i, item in enumerate(one.after.candidates or ()):
            score, other = scores.get(item.id), others.get(item.id)
            if score is None or item.id not in clean:
                continue
            yes = score >= 0.5
            chosen, rejected = answers if yes else answers[::-1]
            flipped = other is not None and (other >= 0.5) != yes
            plain, edited = render(one.before, clean[item.id]), render(one.after, i)
            made[Pair(plain, chosen, rejected, "clean")] = None
            if edited != plain:
                made[Pair(edited, chosen, rejected, "attacked", flipped)] = None
    if not made:
        raise ConfigError(
            f"train: none of the {len(found)} exchanges is a scored request with a readable clean answer; take a run "
            "that attacked a target which does the task score"
        )
    return list(made)


def disturbed(
    target: Recommender, requests: Sequence[Request], perturb: Perturb, rng: np.random.Generator, *, title: str = ""
) -> list[Exchange]:
    """Ask a target about requests, and about the same ones edited; those that no edit changed are left out.

    Args:
        target: answers both.
        requests: clean ones. Of people whom no later audit judges.
        perturb: edits each of them.
        rng: for `perturb`.
        title: what is done.
    """
    edited = [(request, apply(perturb(request, rng), request)) for request in requests]
    changed = [(before, after) for before, after in edited if before.digest != after.digest]
    if not changed:
        return []
    clean = target.recommend([before for before, _ in changed])
    attacked = target.recommend([after for _, after in changed])
    return [
        Exchange(before, first, after, second, title)
        for (before, after), first, second in zip(changed, clean, attacked, strict=True)
    ]
