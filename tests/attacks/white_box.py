"""A linear white-box: its loss is a sum of weights of the words and items it reads, so estimates are exact."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from helpers import Scripted

from audit.target import Input, Insight, Span, TokenGradients
from audit.types import Answer, Item, Ranked, Request

BOTH = frozenset({Input.INSTRUCTION, Input.HISTORY})


class Linear(Scripted):
    """Ranks its candidates as they stand, the first held up by every word and event according to its weight.

    Words and items are one-hot embeddings; what has no weight counts 0.
    """

    def __init__(
        self, words: Mapping[str, float], items: Mapping[str, float], known: Sequence[str] = (), **info: object
    ) -> None:
        self.weights = {**{f"w:{k}": v for k, v in words.items()}, **{f"i:{k}": v for k, v in items.items()}}
        self.names = list(self.weights)
        self.passes = 0
        declared = {"honours": BOTH, "reveals": frozenset({Insight.SCORES, Insight.GRADIENTS}), **info}
        super().__init__(self._rank, **declared)

    def _units(self, asked: Request) -> list[tuple[Span, str]]:
        words = [(Span(m.start(), m.end(), "instruction"), f"w:{m[0]}") for m in re.finditer(r"\S+", asked.instruction)]
        events = [(Span(0, 0, f"history[{n}]"), f"i:{e.item.id}") for n, e in enumerate(asked.user.history)]
        return words + events

    def margin(self, asked: Request) -> float:
        return sum(self.weights.get(name, 0.0) for _, name in self._units(asked))

    def _rank(self, asked: Request) -> Answer:
        offered = asked.candidates or ()
        scores = [self.margin(asked) if n == 0 else 0.0 for n in range(len(offered))]
        order = sorted(range(len(offered)), key=lambda n: -scores[n])[: asked.k]
        return Answer(tuple(Ranked(offered[n].id, offered[n].title, scores[n]) for n in order))

    def _row(self, name: str) -> np.ndarray:
        return np.array([float(name == known) for known in self.names], dtype=np.float32)

    def gradients(self, requests: Sequence[Request], relevant: Sequence[frozenset[str]]) -> list[TokenGradients]:
        self.passes += len(requests)
        found = []
        for asked, wanted in zip(requests, relevant, strict=True):
            offered, margin = asked.candidates or (), self.margin(asked)
            rest = len(offered) - 1
            share = np.exp(margin) / (np.exp(margin) + rest)
            held = offered[0].id in wanted  # else one of the others is right, and falls as the first rises
            slope = np.array(list(self.weights.values()), dtype=np.float32) * (share - held)
            units = self._units(asked)
            rows = np.stack([self._row(name) for _, name in units])
            loss = np.log(np.exp(margin) + rest) - (margin if held else 0.0)
            found.append(TokenGradients(tuple(s for s, _ in units), rows, np.tile(slope, (len(units), 1)), float(loss)))
        return found

    def word_embeddings(self, words: Sequence[str]) -> list[np.ndarray]:
        return [self._row(f"w:{word}")[None] for word in words]

    def item_embeddings(self, items: Sequence[Item]) -> list[np.ndarray]:
        return [self._row(f"i:{item.id}")[None] for item in items]
