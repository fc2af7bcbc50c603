"""Keyword stuffing: the oldest trick of sellers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.item_text.words import facts_of, words_of
from audit.attack import AttackInfo, Edits, Goal, Offer, Promotion, ThreatModel, Variant
from audit.attack.promotion import write
from audit.edits import Zone
from audit.target import Input


@dataclass(frozen=True)
class KeywordStuffing(Promotion):
    """Append keywords to the title: the item's own facts over and over, or words of the items that are shown most.

    Attributes:
        words: keywords appended.
    """

    words: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.words < 1:
            raise ValueError(f"words: {self.words} must be at least 1")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="keyword-stuffing",
            title="Keyword stuffing",
            why="It costs a seller nothing, and every marketplace has it.",
            reference="Baseline of GEO, KDD 2024; trivial insertion of RecTextAttack, ACL 2024 (arXiv 2402.14836)",
            threat_model=ThreatModel(frozenset({Zone.SELLER}), max_edits=1, goal=Goal.PROMOTE),
            needs=frozenset({Input.ITEM_TEXT}),
            tasks=("rank", "score"),
            severity="medium",
        )

    @property
    def variants(self) -> Sequence[Variant]:
        """The item's own facts, and the words of popular items."""
        return tuple(Variant(style, "title", {"style": style}) for style in ("own facts", "popular words"))

    def rewrite(self, offer: Offer, rng: np.random.Generator) -> Edits:
        """Append the keywords."""
        words = facts_of(offer.item)
        if offer.variant.id == "popular words":
            shelf = offer.shelf or self.catalog.items_in_order
            words = words_of([item.title for item in shelf if item.id != offer.item.id])[: 3 * self.words]
            words = [words[int(i)] for i in rng.permutation(len(words))[: self.words]]
        if not words:
            return ()
        repeated = [words[i % len(words)] for i in range(self.words)]
        return write(offer, "title", " ".join(repeated))
