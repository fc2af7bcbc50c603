"""IFairLRS re-ranking: groups of items that lists over-represent, measured on other users, move down a little."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Recommender
from audit.types import Answer, Catalog, Ranked, Request
from defenses.fairness.rerank import MISSING, Order, Reranked, check_depth, column_of, groups_of

_WHERE = "defenses.ifairlrs"
_POPULARITY = "popularity"
_BINS = 5
_FEWEST = 10
"""Readable lists of other users below which nothing is learnt."""

Groups = Mapping[str, tuple[str, ...]]
"""By item id, the groups of the item; items without a group are left out."""


class IFairLrs:
    """Adds α Û to the distance of each item, where Û says how much lists over-represent its groups (Jiang et al. 2024).

    GU@K(G) is the share of a group among the memberships of the first K places minus its share in the histories. U(G)
    is Σ_K γ_K GU@K with γ_K ∝ K over all K up to the length of the lists, and Û is U scaled so that the largest in size
    is one. An item of several groups has their mean. The distance is one minus the score scaled to 0 … 1, or the place
    scaled so where there are no scores.

    Û is measured once, when the target is put behind this defense, on clean requests of users who are not under audit,
    and stays as it is.

    Args:
        catalog: the items.
        validation: requests of other users.
        popularity: interactions by item id, for groups by popularity.
        column: of the items; `popularity` for five groups of equally many items; None for the catalogue's genres.
        weight: α, 0 for the target's own order; the authors try 0 to 0.1.
        depth: how many times as long a list the target is asked for.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog,
        validation: Sequence[Request],
        popularity: Mapping[str, int] | None = None,
        *,
        column: str | None = None,
        weight: float = 0.05,
        depth: int = 3,
    ) -> None:
        if not 0.0 <= weight <= 1.0:
            raise ConfigError(f"{_WHERE}.weight: {weight} must be between 0 and 1")
        check_depth(depth, _WHERE)
        self.catalog = catalog
        self.validation = [request for request in validation if request.task == "rank"]
        if column == _POPULARITY:
            if not popularity:
                raise ConfigError(f"{_WHERE}.column: groups by popularity need a log to count in")
            self.column = _POPULARITY
            self.groups: Groups = popularity_bins(catalog, popularity)
        else:
            self.column = column_of(catalog, column, _WHERE)
            self.groups = {i.id: found for i in catalog.items_in_order if (found := groups_of(i, self.column))}
        self.weight = weight
        self.depth = depth

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="ifairlrs",
            title=f"Groups by {self.column or 'genre'} held to their share",
            why="What lists show too much of, beside what users chose themselves, moves down.",
            reference="Jiang et al., WWW 2024, Item-side Fairness of LLM-based Recommendation (IFairLRS), re-ranking",
            family="output",
            guards=frozenset({Zone.PLATFORM}),
            tasks=("rank",),
            missing="" if self.column else MISSING,
            limits="Gaps that other users' lists do not show, or that candidates bring with them; it can overshoot: in "
            "the authors' table it widens gaps on ML-1M.",
        )

    def protect(self, target: Recommender) -> HeldToShare:
        """The target, with its over-represented groups held back; asks it about other users first.

        Raises:
            ConfigError: there are no requests for lists of other users.
        """
        if not self.validation:
            raise ConfigError(f"{_WHERE}: there are no lists of other users to learn from; let the log keep more users")
        return HeldToShare(target, self)


class HeldToShare(Reranked):
    """A target whose over-represented groups stand further down."""

    def __init__(self, target: Recommender, defense: IFairLrs) -> None:
        self._groups, self._weight = defense.groups, defense.weight
        options: dict[str, object] = {"column": defense.column, "weight": defense.weight}
        super().__init__(target, defense.info, options, defense.catalog, defense.depth)
        requests = defense.validation
        answers = self.ask(requests, [0] * len(requests))
        readable = [(r, a) for r, a in zip(requests, answers, strict=True) if a.outcome == "ok" and a.ranked]
        self.lists = len(readable)
        self.excess = excess(readable, self._groups) if self.lists >= _FEWEST else {}
        # What was learnt is what the answers depend on, whoever's lists it was learnt from.
        self.defense_options["excess"] = dict(sorted(self.excess.items()))

    def order(self, request: Request, entries: Sequence[Ranked], relevance: Sequence[float], draw: int) -> Order:
        """By distance, over-represented groups a little further away."""
        if not self.excess:
            why = f"{self.lists} readable lists of other users hold no groups, or are fewer than {_FEWEST}"
            return list(range(min(request.k, len(entries)))), f"nothing was learnt: {why}"
        near = np.arange(len(entries), 0, -1, dtype=np.float64)
        if all(entry.score is not None for entry in entries):
            near = np.array(relevance, dtype=np.float64)
        spread = float(np.ptp(near))
        distance = (near.max() - near) / spread if spread else np.zeros(len(entries))
        held = [[self.excess.get(g, 0.0) for g in self._groups.get(str(e.item_id), ())] for e in entries]
        moved = distance + self._weight * np.array([np.mean(h) if h else 0.0 for h in held])
        return [int(i) for i in np.argsort(moved, kind="stable")[: request.k]], ""


def excess(answered: Sequence[tuple[Request, Answer]], groups: Groups) -> dict[str, float]:
    """Û by group: how much lists over-represent it, from -1 to 1; empty where lists or histories hold no group.

    Args:
        answered: requests with their lists.
        groups: see `Groups`.
    """
    past = Counter(g for request, _ in answered for e in request.user.history for g in groups.get(e.item.id, ()))
    longest = max((len(answer.ranked) for _, answer in answered), default=0)
    listed: Counter[str] = Counter()
    unfair: defaultdict[str, float] = defaultdict(float)
    total = sum(past.values())
    if not total:
        return {}
    for place in range(longest):
        for _, answer in answered:
            if place < len(answer.ranked):
                listed.update(groups.get(str(answer.ranked[place].item_id), ()))
        if shown := sum(listed.values()):
            for g in {*past, *listed}:
                # γ_K ∝ K: gaps in long lists count more. Its scale falls out below.
                unfair[g] += (place + 1) * (listed[g] / shown - past[g] / total)
    most = max((abs(u) for u in unfair.values()), default=0.0)
    return {g: u / most for g, u in unfair.items()} if most > 0 else {}


def popularity_bins(catalog: Catalog, popularity: Mapping[str, int]) -> Groups:
    """Five groups of equally many items, `1` the least popular."""
    ordered = sorted(catalog.items_in_order, key=lambda item: (popularity.get(item.id, 0), item.id))
    return {
        item.id: (str(at + 1),)
        for at, part in enumerate(np.array_split(np.arange(len(ordered)), _BINS))
        for item in (ordered[int(n)] for n in part)
    }
