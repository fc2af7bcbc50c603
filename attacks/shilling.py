"""Shilling by hand-made profiles: random, average, bandwagon and segment attacks.

Lam and Riedl, "Shilling recommender systems for fun and profit", WWW 2004 (random, average); Mobasher, Burke, Bhaumik
and Williams, "Toward trustworthy recommender systems: an analysis of attack models and algorithm robustness", ACM TOIT
2007 (the general form, bandwagon, segment). A profile has the target with the highest rating, selected items that earn
it neighbours, and fillers that make it look like a user. What the four differ in is the selected items and the ratings.

Where there are no ratings, only *which* items a profile holds can matter: the average attack then draws its fillers as
the average user does, in proportion to popularity.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from attacks.profile.likeness import features
from audit.attack import AttackInfo, Goal, ThreatModel
from audit.attack.shilling import Profiles, Shilling
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Insight
from audit.types import Event, Item

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

_PROFILES = ThreatModel(frozenset({Zone.PLATFORM}), max_edits=1, max_queries=0, sees="nothing", goal=Goal.PROMOTE)
"""No request is edited at all: what is written is the platform's log of interactions."""


@dataclass(frozen=True)
class Opinions:
    """What an adversary can look up about the ratings.

    Attributes:
        counts: (items,) events of each item.
        means: (items,) mean rating; the mean of all ratings where an item has none.
        spread: standard deviation of all ratings.
        low: lowest possible rating.
        high: highest possible rating.
        whole: whether ratings are whole numbers.
        rated: whether there are ratings.
    """

    counts: np.ndarray[tuple[int], np.dtype[np.float64]]
    means: np.ndarray[tuple[int], np.dtype[np.float64]]
    spread: float
    low: float
    high: float
    whole: bool
    rated: bool

    @classmethod
    def of(cls, dataset: Dataset) -> Opinions:
        """Look them up."""
        size = len(dataset.catalog)
        at = dataset.interactions["item"].map(dataset.index).to_numpy(dtype=np.int64)
        ratings = dataset.interactions["rating"].to_numpy(dtype=np.float64)
        told = np.isfinite(ratings)
        counts = np.bincount(at, minlength=size).astype(np.float64)
        if not told.any():
            return cls(counts, np.zeros(size), 0.0, 0.0, 0.0, False, False)
        votes = np.bincount(at[told], minlength=size)
        sums = np.bincount(at[told], weights=ratings[told], minlength=size)
        everyone = float(ratings[told].mean())
        means = np.where(votes > 0, sums / np.maximum(votes, 1), everyone)
        low, high = dataset.rating_scale or (float(ratings[told].min()), float(ratings[told].max()))
        whole = bool((ratings[told] % 1 == 0).all())
        return cls(counts, means, float(ratings[told].std()), low, high, whole, True)

    def rating(self, value: float) -> float | None:
        """The nearest rating that a user could give; None where there are no ratings."""
        if not self.rated:
            return None
        return float(np.clip(np.round(value) if self.whole else value, self.low, self.high))


@dataclass(frozen=True)
class _Recipe(Shilling):
    """What the four have in common: the target, selected items, fillers, in an order of no meaning."""

    id: ClassVar[str]
    title: ClassVar[str]
    why: ClassVar[str]
    reference: ClassVar[str] = "Mobasher et al., ACM TOIT 7(4), 2007, after Lam and Riedl, WWW 2004"

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id=self.id,
            title=self.title,
            why=self.why,
            reference=self.reference,
            threat_model=_PROFILES,
            needs=frozenset(),
            sees=frozenset({Insight.TRAIN}),
            tasks=("rank", "score"),
            severity="high",
        )

    def profiles(self, dataset: Dataset, item_id: str, count: int, fillers: int, rng: np.random.Generator) -> Profiles:
        """See `Shilling.profiles`."""
        if item_id not in dataset.catalog:
            raise ConfigError(f"{self.id}: the item {item_id!r} to promote is not in the catalogue")
        opinions, items, target = Opinions.of(dataset), dataset.catalog.items_in_order, dataset.index[item_id]
        chosen = self._selected(opinions, items, target)[:fillers]
        free = np.setdiff1d(np.arange(len(items)), [target, *chosen])
        times = dataset.interactions["time"].to_numpy(dtype=np.float64)
        known = times[np.isfinite(times)]
        names: list[str] = []
        number = 0
        taken = set(dataset.user_ids)
        while len(names) < count:
            number += 1
            if (name := f"fake-{number:04d}") not in taken:
                names.append(name)
        found = {}
        for name in names:
            drawn = self._fillers(opinions, free, min(fillers - len(chosen), len(free)), rng)
            rows = [(target, opinions.high), *((i, opinions.high) for i in chosen)]
            rows += [(i, self._opinion(opinions, i, rng)) for i in drawn]
            rows = [rows[i] for i in rng.permutation(len(rows))]
            when = np.sort(rng.uniform(known.min(), known.max(), len(rows))) if len(known) else None
            found[name] = tuple(
                Event(items[i], opinions.rating(rating), None if when is None else float(np.round(when[n])))
                for n, (i, rating) in enumerate(rows)
            )
        return found

    def _selected(self, opinions: Opinions, items: Sequence[Item], target: int) -> list[int]:
        """I_S, the items that earn the profile its neighbours."""
        return []

    def _fillers(self, opinions: Opinions, free: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
        """I_F, the items that make the profile look like a user's: at random."""
        return [int(i) for i in rng.choice(free, size=count, replace=False)]

    @abstractmethod
    def _opinion(self, opinions: Opinions, item: int, rng: np.random.Generator) -> float:
        """The rating of a filler."""


@dataclass(frozen=True)
class RandomShilling(_Recipe):
    """Fillers at random, rated around the mean of all ratings: needs to know next to nothing."""

    id = "shilling-random"
    title = "Shilling: random profiles"
    why = (
        "Anybody who can open accounts can write these profiles; what they achieve costs an adversary nothing to know."
    )

    def _opinion(self, opinions: Opinions, item: int, rng: np.random.Generator) -> float:
        total = opinions.counts.sum()
        return float(rng.normal((opinions.means * opinions.counts).sum() / total, opinions.spread))


@dataclass(frozen=True)
class AverageShilling(_Recipe):
    """Fillers rated around the mean of each item, so that a profile agrees with many users."""

    id = "shilling-average"
    title = "Shilling: average profiles"
    why = "Profiles that agree with everybody become neighbours of everybody; mean ratings are on show in most shops."

    def _fillers(self, opinions: Opinions, free: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
        if opinions.rated:
            return super()._fillers(opinions, free, count, rng)
        weights = opinions.counts[free] + 1e-9
        return [int(i) for i in rng.choice(free, size=count, replace=False, p=weights / weights.sum())]

    def _opinion(self, opinions: Opinions, item: int, rng: np.random.Generator) -> float:
        return float(rng.normal(opinions.means[item], opinions.spread))


@dataclass(frozen=True)
class BandwagonShilling(RandomShilling):
    """The most popular items with the highest rating, then fillers at random: a neighbour of nearly every user.

    Attributes:
        popular: how many popular items.
    """

    id = "shilling-bandwagon"
    title = "Shilling: bandwagon profiles"
    why = "Best-sellers are public; profiles that hold them tie the pushed item to what nearly every user has."
    popular: int = field(default=5, kw_only=True)

    def _selected(self, opinions: Opinions, items: Sequence[Item], target: int) -> list[int]:
        order = np.argsort(-opinions.counts, kind="stable")
        return [int(i) for i in order if i != target][: self.popular]


@dataclass(frozen=True)
class SegmentShilling(_Recipe):
    """Items like the target with the highest rating, fillers with the lowest: aims at the people who like its kind.

    Items are alike in what their titles and attributes share; of equally alike ones the more popular are taken.

    Attributes:
        segment: how many items of the target's kind.
    """

    id = "shilling-segment"
    title = "Shilling: segment profiles"
    why = "A seller wants the pushed item before the people who buy its kind, and few fake accounts reach those."
    segment: int = field(default=5, kw_only=True)

    def _selected(self, opinions: Opinions, items: Sequence[Item], target: int) -> list[int]:
        wanted = features(items[target])
        shared = np.array([len(wanted & features(item)) for item in items])
        order = np.lexsort((-opinions.counts, -shared))
        return [int(i) for i in order if i != target and shared[i] > 0][: self.segment]

    def _opinion(self, opinions: Opinions, item: int, rng: np.random.Generator) -> float:
        return opinions.low
