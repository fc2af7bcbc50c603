"""RP: random items at random places of the history, the item half of the random baseline of CheatAgent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attacks.places import draw_items
from audit.attack import AttackInfo, Perturbation, ThreatModel
from audit.edits import Edit, HistoryInsert, Zone
from audit.target import Input, TargetInfo
from audit.types import Event, Request


@dataclass(frozen=True)
class RandomItems(Perturbation):
    """Insert random catalogue items at random positions of the history.

    Never an item of the history, of the candidates, or the true next item: those would change the question instead of
    testing the answer. Ratings are drawn from the user's own, so that the user's mean does not move on purpose.

    Attributes:
        items: how many items to insert (Δ of the paper, 3 there).
    """

    items: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.items < 1:
            raise ValueError(f"items: {self.items} must be at least 1")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="random-items",
            title="Random items in the history (RP)",
            why="Shared accounts, accidental clicks and cheap profile pollution put unrelated items into histories.",
            reference="Baseline RP of Ning et al., CheatAgent, KDD 2024 (arXiv 2504.13192), section 4.1.3",
            threat_model=ThreatModel(frozenset({Zone.PLATFORM}), max_edits=self.items),
            needs=frozenset({Input.HISTORY}),
            severity="medium",
        )

    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        """Insert up to `items` events; fewer when the catalogue has no more to offer."""
        history = request.user.history
        ratings = [e.rating for e in history if e.rating is not None]
        edits: list[Edit] = []
        for item in draw_items(self.catalog, avoid, request, self.items, rng):
            position = int(rng.integers(len(history) + len(edits) + 1))
            rating = ratings[int(rng.integers(len(ratings)))] if ratings else None
            edits.append(HistoryInsert(position, Event(item, rating)))
        return tuple(edits)
