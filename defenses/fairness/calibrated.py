"""Calibrated re-ranking: a list holds what its user likes, in the user's own shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Input, Recommender
from audit.types import Catalog, Item, Ranked, Request
from defenses.fairness.rerank import MISSING, Order, Reranked, check_depth, column_of, groups_of

_WHERE = "defenses.calibrated"
_SMOOTHING = 0.01
"""Share of the user's taste that is mixed into the list's, so that an absent genre costs a finite amount (Steck)."""


class Calibrated:
    """Puts together, greedily, the list with the best (1 − λ) relevance − λ KL(taste ‖ list).

    Args:
        catalog: the items.
        column: of the items; None for the catalogue's genres.
        weight: λ, 0 for the target's own order, 1 for taste alone.
        depth: how many times as long a list the target is asked for.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(self, catalog: Catalog, *, column: str | None = None, weight: float = 0.5, depth: int = 3) -> None:
        if not 0.0 <= weight <= 1.0:
            raise ConfigError(f"{_WHERE}.weight: {weight} must be between 0 and 1")
        check_depth(depth, _WHERE)
        self.catalog = catalog
        self.column = column_of(catalog, column, _WHERE)
        self.weight = weight
        self.depth = depth

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="calibrated",
            title="Calibrated to the user's taste",
            why="Users with rare tastes get lists of their own taste, not of the majority's.",
            reference="Steck, RecSys 2018, Calibrated Recommendations",
            family="output",
            guards=frozenset({Zone.PLATFORM}),
            needs=frozenset({Input.HISTORY}),
            tasks=("rank",),
            missing="" if self.column else MISSING,
            limits="A taste that the history does not show; groups that are served worse for another reason.",
        )

    def protect(self, target: Recommender) -> CalibratedLists:
        """The target, with its lists in the user's shares."""
        return CalibratedLists(target, self)


class CalibratedLists(Reranked):
    """A target whose lists hold what the history holds."""

    def __init__(self, target: Recommender, defense: Calibrated) -> None:
        options = {"column": defense.column, "weight": defense.weight}
        super().__init__(target, defense.info, options, defense.catalog, defense.depth)
        self._defense = defense

    def order(self, request: Request, entries: Sequence[Ranked], relevance: Sequence[float], draw: int) -> Order:
        """Greedily, the entry that adds most."""
        column, weight = self._defense.column, self._defense.weight
        taste = shares([event.item for event in request.user.history], column)
        if not taste:
            return list(range(min(request.k, len(entries)))), f"the history names no {column}: the target's own order"
        items = [self.item(request, entry) for entry in entries]
        top = max(relevance)
        chosen: list[int] = []
        while len(chosen) < min(request.k, len(entries)):
            best, value = -1, -math.inf
            for i in range(len(entries)):
                if i in chosen:
                    continue
                listed = shares([items[n] for n in (*chosen, i)], column)
                gained = (1 - weight) * sum(relevance[n] / top for n in (*chosen, i)) - weight * divergence(
                    taste, listed
                )
                if gained > value + 1e-12:  # ties stay with the target's order
                    best, value = i, gained
            chosen.append(best)
        return chosen, ""


def shares(items: Sequence[Item | None], column: str) -> Mapping[str, float]:
    """p(g): the share of each group among items, an item of m groups counting 1 / m in each; empty without groups."""
    found: dict[str, float] = {}
    for item in items:
        groups = groups_of(item, column)
        for group in groups:
            found[group] = found.get(group, 0.0) + 1.0 / len(groups)
    total = sum(found.values())
    return {group: value / total for group, value in found.items()} if total else {}


def divergence(taste: Mapping[str, float], listed: Mapping[str, float]) -> float:
    """KL(taste ‖ .99 list + .01 taste), in nats (Steck, equation 6)."""
    return sum(
        p * math.log(p / ((1 - _SMOOTHING) * listed.get(group, 0.0) + _SMOOTHING * p)) for group, p in taste.items()
    )
