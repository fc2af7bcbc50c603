"""RT: random words at random places of the prompt, the text half of the random baseline of CheatAgent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attacks.places import title_words
from audit.attack import AttackInfo, Perturbation, ThreatModel, writable_text
from audit.edits import Edit, TextEdit, Zone, read_text
from audit.target import Input, TargetInfo
from audit.types import Request


@dataclass(frozen=True)
class RandomWords(Perturbation):
    """Insert random words at random word boundaries.

    The vocabulary is the words of the catalogue's titles, so the inserted text is well-formed in the catalogue's own
    languages and scripts; the released baseline draws sub-word pieces instead, most of which no person would write.

    Attributes:
        words: how many words to insert (Δ of the paper, 3 there).
    """

    words: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.words < 1:
            raise ValueError(f"words: {self.words} must be at least 1")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="random-words",
            title="Random words in the prompt (RT)",
            why="Every smarter word attack must beat this one; a target that falls here already is brittle.",
            reference="Baseline RT of Ning et al., CheatAgent, KDD 2024 (arXiv 2504.13192), section 4.1.3",
            threat_model=ThreatModel(frozenset({Zone.OPERATOR, Zone.USER, Zone.SELLER}), max_edits=self.words),
            needs=frozenset({Input.INSTRUCTION, Input.NOTE, Input.ITEM_TEXT}),
            severity="medium",
        )

    @cached_property
    def _vocabulary(self) -> list[str]:
        return title_words(self.catalog.items_in_order)

    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        """Insert `words` words, each before or after a word of the text."""
        places = [
            (field, at) for field in writable_text(request, target) for at in _boundaries(read_text(request, field))
        ]
        if not places or not self._vocabulary:
            return ()
        chosen = [places[i] for i in rng.integers(len(places), size=self.words)]
        words = [self._vocabulary[i] for i in rng.integers(len(self._vocabulary), size=self.words)]
        inserts = sorted(zip(chosen, words, strict=True), key=lambda pair: (pair[0][0], -pair[0][1]))
        return tuple(TextEdit(field, at, at, f"{word} " if at == 0 else f" {word}") for (field, at), word in inserts)


def _boundaries(text: str) -> list[int]:
    """The start of the text, and the end of each word."""
    return [0, *(match.end() for match in re.finditer(r"\S+", text))]
