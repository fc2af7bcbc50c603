"""What re-rankers share: a longer list from the target, and a new order of its entries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from audit.defense import Defended, DefenseInfo
from audit.errors import ConfigError, nearest
from audit.target import Recommender
from audit.types import Answer, Catalog, Item, Ranked, Request

GENRES = ("genres", "genre", "categories", "category")
"""Names under which catalogues have what kind of thing an item is, the usual one first."""


MISSING = "the items have no column of genres; name another with column"
"""What a re-ranker lacks where no column is named and the catalogue has none of the usual ones."""

Order = tuple[list[int], str]
"""Indices of entries, best first, and a remark: empty unless something that is promised could not be kept."""


def column_of(catalog: Catalog, column: str | None, where: str) -> str:
    """The column of the items whose values are groups; empty if none is named and the catalogue has no genres.

    Raises:
        ConfigError: no item has the column that is named.
    """
    known = sorted({key for item in catalog.items_in_order for key in item.attributes})
    if column is None:
        return next((name for name in GENRES if name in known), "")
    if column not in known:
        raise ConfigError(f"{where}.column: {column!r} is no column of the items; {nearest(column, known)}")
    return column


def groups_of(item: Item | None, column: str) -> tuple[str, ...]:
    """The groups of an item; none for an item without a value."""
    value = () if item is None else item.attributes.get(column, ())
    return value if isinstance(value, tuple) else (str(value),)


class Reranked(Defended, ABC):
    """A target whose lists are put into another order.

    A longer list is asked for than is given, so that there is something to choose from. Entries that name no item keep
    their place behind the others.

    Args:
        target: what is protected.
        defense: declaration.
        options: of the defense.
        catalog: the items.
        depth: how many times as long a list is asked for.
    """

    def __init__(
        self, target: Recommender, defense: DefenseInfo, options: Mapping[str, object], catalog: Catalog, depth: int
    ) -> None:
        super().__init__(target, defense, {**options, "catalog": catalog.digest, "depth": depth})
        self.catalog = catalog
        self.depth = depth

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Ask for more, choose, and give as many as were asked for."""
        answers = self.ask([self._longer(request) for request in requests], draws)
        return [
            self._chosen(request, answer, draw) for request, answer, draw in zip(requests, answers, draws, strict=True)
        ]

    def item(self, request: Request, entry: Ranked) -> Item | None:
        """The item of an entry, as the request or the catalogue holds it."""
        held = next((item for item in request.candidates or () if item.id == entry.item_id), None)
        return held or (None if entry.item_id is None else self.catalog.get(entry.item_id))

    @abstractmethod
    def order(self, request: Request, entries: Sequence[Ranked], relevance: Sequence[float], draw: int) -> Order:
        """Which entries are given, best first.

        Args:
            request: what was asked; its `k` is how many are given.
            entries: of the longer list, best first, each an item.
            relevance: of each entry, higher is better, above 0: its score, or 1 / (its rank) where it has none.
            draw: which draw of a randomised defense is meant.

        Returns:
            At most k indices into the entries, and a remark where what is promised could not be kept.
        """

    def _longer(self, request: Request) -> Request:
        if request.task != "rank":
            return request
        most = len(request.candidates) if request.candidates is not None else request.k * self.depth
        return replace(request, k=max(request.k, min(request.k * self.depth, most)))

    def _chosen(self, request: Request, answer: Answer, draw: int) -> Answer:
        if answer.outcome != "ok" or request.task != "rank" or not answer.ranked:
            return answer
        known = [e for e in answer.ranked if e.item_id is not None]
        unknown = [e for e in answer.ranked if e.item_id is None]
        scores = [e.score for e in known]
        if known and all(s is not None for s in scores):
            low = min(s for s in scores if s is not None)
            relevance = [float(s or 0.0) - low + 1e-6 for s in scores]
        else:
            relevance = [1.0 / rank for rank in range(1, len(known) + 1)]
        order, remark = self.order(request, known, relevance, draw) if known else ([], "")
        ranked = [known[i] for i in order]
        ranked += unknown[: request.k - len(ranked)]
        given = tuple(replace(entry, score=None) for entry in ranked)
        return replace(answer, ranked=given, detail=remark or answer.detail)


def check_depth(depth: int, where: str) -> None:
    """Raise ConfigError unless a list at least twice as long is asked for."""
    if depth < 2:
        raise ConfigError(f"{where}.depth: {depth} must be at least 2, or there is nothing to choose from")
