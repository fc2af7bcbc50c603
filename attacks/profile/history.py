"""The history as a whole: its order lost, or its interest diluted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attacks.places import draw_items
from audit.attack import AttackInfo, Perturbation, ThreatModel
from audit.edits import Edit, HistoryReorder, HistoryReplace, Zone
from audit.target import Input, TargetInfo
from audit.types import Event, Request

_MOST = 200
"""Events that are replaced at most."""


@dataclass(frozen=True)
class HistoryShuffle(Perturbation):
    """The same events in random order: what is lost when a log loses its times."""

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="history-shuffle",
            title="History shuffled",
            why="Logs are merged and times get lost; a target that needs the order must say so.",
            reference="Practice; what sequential recommenders lose without order: Kang and McAuley, ICDM 2018",
            threat_model=ThreatModel(frozenset({Zone.PLATFORM}), max_edits=1),
            needs=frozenset({Input.HISTORY}),
            severity="low",
        )

    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        """One order, never the one there is; a history of fewer than two events has no other."""
        count = len(request.user.history)
        if count < 2:
            return ()
        order = rng.permutation(count)
        if (order == np.arange(count)).all():
            order = np.roll(order, 1)
        return (HistoryReorder(tuple(order.tolist())),)


@dataclass(frozen=True)
class HistoryDilution(Perturbation):
    """A share of the history replaced by random items, with the ratings and times of what they replace.

    Attributes:
        share: of the events, above 0 and at most 1; at least one is replaced.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise ValueError(f"share: {self.share} must be above 0 and at most 1")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="history-dilution",
            title=f"History diluted, {self.share:.0%} replaced",
            why="An account that others use as much as its owner shows two tastes, of which one is noise.",
            reference="Profile pollution: Yue et al., RecSys 2022 (arXiv 2207.11237); RETURN, 2025 (arXiv 2504.02458)",
            threat_model=ThreatModel(frozenset({Zone.PLATFORM}), max_edits=_MOST),
            needs=frozenset({Input.HISTORY}),
            severity="medium",
        )

    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        """Replace events at random places, as many as the share says and the catalogue has items for."""
        history = request.user.history
        count = min(math.ceil(self.share * len(history)), _MOST)
        places = sorted(rng.permutation(len(history))[:count].tolist())
        items = draw_items(self.catalog, avoid, request, count, rng)
        return tuple(
            HistoryReplace(at, Event(item, history[at].rating, history[at].time))
            for at, item in zip(places, items, strict=False)
        )
