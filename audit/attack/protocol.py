"""The protocol that every attack follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from audit.attack.attempt import Attempt
from audit.attack.threat import AttackInfo, Objective
from audit.target import Recommender
from audit.types import Request


@runtime_checkable
class Attack(Protocol):
    """Edits requests to do harm."""

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        ...

    def run(
        self,
        target: Recommender,
        requests: Sequence[Request],
        objective: Objective,
        budget: int,
        rng: np.random.Generator,
    ) -> Iterator[Attempt]:
        """Attack each request.

        Args:
            target: what is attacked.
            requests: clean requests.
            objective: what success means.
            budget: most true queries per request for the search.
            rng: source of all randomness.

        Yields:
            One Attempt per request, in the requests' order.
        """
        ...
