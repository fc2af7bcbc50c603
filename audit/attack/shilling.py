"""Shilling: made-up users whose interactions a recommender learns from, so that one item rises.

The damage is done in training, not in a request: an attack writes the fake users, and the harness fits a twin of the
target with them and one without (`audit.modules.robustness.shilling`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from audit.attack.attempt import Attempt, stealth
from audit.attack.threat import AttackInfo, Goal, Objective
from audit.errors import ConfigError
from audit.target import Recommender, Retrains, describe
from audit.types import Catalog, Event, Request

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

Profiles = Mapping[str, tuple[Event, ...]]
"""Fake users: their events, oldest first, by user id."""


@dataclass(frozen=True)
class Shilling(ABC):
    """An attack that writes user profiles.

    Attributes:
        catalog: the items.
        dataset: what the target learns from, for `run`; the robustness module brings its own.
        fake_share: fake users, as a share of the real ones, for `run`.
        fillers: items each fake user has beside the target, for `run`.
    """

    catalog: Catalog
    dataset: Dataset | None = field(default=None, kw_only=True, repr=False)
    fake_share: float = field(default=0.03, kw_only=True)
    fillers: int = field(default=30, kw_only=True)

    def __post_init__(self) -> None:
        check_size(self.fake_share, self.fillers)

    @property
    @abstractmethod
    def info(self) -> AttackInfo:
        """The declaration: the goal is to promote, and the target must let itself be trained."""

    @abstractmethod
    def profiles(self, dataset: Dataset, item_id: str, count: int, fillers: int, rng: np.random.Generator) -> Profiles:
        """Fake users who push an item.

        Args:
            dataset: what the target learns from; an adversary knows it as far as ratings are public.
            item_id: the item to raise.
            count: how many users.
            fillers: items each of them has beside the target, as far as the catalogue holds so many.
            rng: source of all randomness.
        """

    def run(
        self,
        target: Recommender,
        requests: Sequence[Request],
        objective: Objective,
        budget: int,
        rng: np.random.Generator,
    ) -> Iterator[Attempt]:
        """The answers of a twin fitted on clean data and of one fitted with the fake users; requests stay as they are.

        Raises:
            ConfigError: there is no dataset, no item to promote, or the target cannot be fitted again.
        """
        if self.dataset is None or objective.goal != Goal.PROMOTE or objective.item_id is None:
            raise ConfigError(
                f"{self.info.id}: it needs `dataset`, what the target learns from, and an item to promote"
            )
        if not isinstance(target, Retrains):
            raise ConfigError(f"{self.info.id}: {describe(target).name} cannot be fitted again; use ease or popularity")
        count = max(1, round(self.fake_share * len(self.dataset.user_ids)))
        fakes = self.profiles(self.dataset, objective.item_id, count, self.fillers, rng)
        befores = target.retrain(self.dataset).recommend(requests)
        afters = target.retrain(self.dataset.with_users(fakes)).recommend(requests)
        for request, before, after in zip(requests, befores, afters, strict=True):
            yield Attempt(request, (), before, after, queries=0, stealth=stealth(request, ()))


def check_size(fake_share: float, fillers: int) -> None:
    """Refuse an attack of no size.

    Raises:
        ValueError: naming the option, its value and what it can be.
    """
    if not 0 < fake_share <= 1:
        raise ValueError(f"fake_share: {fake_share} must be above 0 and at most 1, a share of the real users")
    if fillers < 1:
        raise ValueError(f"fillers: {fillers} must be at least 1")
