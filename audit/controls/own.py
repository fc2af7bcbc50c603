"""Planting into the user's own target, on the user's own data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from audit.controls.control import Control
from audit.data.dataset import Dataset
from audit.errors import ConfigError
from audit.runner import Prepared, prepare
from audit.target import Recommender, describe
from audit.text import listed


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

    def lacking(self, control: Control) -> str | None:
        """Why the control cannot be planted here, as the end of a sentence; None if it can."""
        tasks = describe(self.prepared.target).tasks
        if control.task not in tasks:
            return f"it needs a target with the task {control.task}, and this one has {listed(tasks)}"
        return control.needs(self.prepared.dataset)

    def fitting(self, controls: Sequence[Control]) -> tuple[list[Control], dict[str, str]]:
        """Those that can be planted here, and by id why the others cannot.

        Raises:
            ConfigError: none can.
        """
        left_out = {control.id: why for control in controls if (why := self.lacking(control)) is not None}
        fitting = [control for control in controls if control.id not in left_out]
        if not fitting:
            name, why = next(iter(left_out.items()))
            others = "" if len(left_out) == 1 else f", nor any other of {len(left_out)}"
            raise ConfigError(
                f"controls: {name!r} cannot be planted into this target{others}: {why}; name other controls, or leave "
                "--config out to measure on the invented world"
            )
        return fitting, left_out


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
