"""The model as TextAttack calls it: a door that counts true queries and closes when the budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from attacks.textattack.library import ModelWrapper

UNREADABLE = -1e6
"""Stands for the loss of an answer that cannot be read: TextAttack computes with losses, which infinity would spoil."""


@dataclass(frozen=True)
class Query:
    """Perturbed texts whose losses are wanted.

    Attributes:
        texts: distinct, and none was asked before.
        scouting: whether they are asked only to learn from, such as a text without one of its words.
    """

    texts: tuple[str, ...]
    scouting: bool


class BudgetSpent(Exception):
    """There is no query left; what was found so far stands."""


class Target(ModelWrapper):  # type: ignore[misc]  # untyped base
    """Answers texts with their adversarial loss.

    TextAttack's own counter includes what its cache answers, so it is not used: the same text is asked once. A step
    that wants more than the budget has left is asked in part, drawn at random: TextAttack sorts its candidates by
    letter, and the first of them would all be changes of the same word.

    Attributes:
        model: what TextAttack takes for the model's class in its checks.
        queries: true queries so far.
    """

    model: object = object()

    def __init__(
        self, ask: Callable[[Query], Sequence[float]], left: Callable[[], int], rng: np.random.Generator
    ) -> None:
        self.queries = 0
        self._ask = ask
        self._left = left
        self._rng = rng
        self._losses: dict[str, float] = {}

    def __call__(self, text_input_list: Sequence[str], scouting: bool = False) -> list[float]:
        """Losses of the texts, in order, higher is better for the attack.

        Raises:
            BudgetSpent: not all of them could be asked; as many as could be are.
        """
        fresh = [text for text in dict.fromkeys(text_input_list) if text not in self._losses]
        left = max(self._left(), 0)
        asked = fresh if len(fresh) <= left else [fresh[i] for i in np.sort(self._rng.permutation(len(fresh))[:left])]
        if asked:
            losses = self._ask(Query(tuple(asked), scouting))
            self._losses.update(zip(asked, (max(loss, UNREADABLE) for loss in losses), strict=True))
            self.queries += len(asked)
        if len(asked) < len(fresh):
            raise BudgetSpent
        return [self._losses[text] for text in text_input_list]

    def known(self, text: str) -> float | None:
        """The loss of a text that was asked before."""
        return self._losses.get(text)
