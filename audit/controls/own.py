"""Planting into the user's own target, on the user's own data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from audit.controls.control import Control
from audit.data.dataset import Dataset
from audit.errors import ConfigError
from audit.runner import Prepared, prepare
from audit.target import Recommender, describe


@dataclass(frozen=True)
class OwnWorld:
    """The data and the target of a configuration, the same in every repetition; users are drawn anew.

    Attributes:
        prepared: the configuration, read and checked.
    """

    prepared: Prepared

    def __call__(self, seed: int, users: int) -> tuple[Dataset, Recommender]:
        """Data and base."""
        return self.prepared.dataset, self.prepared.target

    @property
    def users(self) -> int:
        """That an audit of this configuration would ask about."""
        return len(self.prepared.cases)

    @property
    def name(self) -> str:
        """For the record."""
        return f"{self.prepared.dataset.name}, {describe(self.prepared.target).name}"

    def fits(self, control: Control) -> bool:
        """Whether the target can be asked what the control asks."""
        return control.task in describe(self.prepared.target).tasks


@contextmanager
def own_world(config: Path) -> Iterator[OwnWorld]:
    """Read a configuration, and end its target afterwards.

    Raises:
        RecAuditError: a mistake in it.
    """
    with closing(prepare(config)) as prepared:
        if prepared.config.budget.usd is not None:
            raise ConfigError(
                "controls: --config plants into a target that costs money (budget.usd is set), many times over; "
                "measure on the invented world by leaving --config out"
            )
        yield OwnWorld(prepared)
