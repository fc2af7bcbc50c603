"""Defenses that are made by training, before they can protect anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Trains(Protocol):
    """A factory of defenses whose weights `recaudit train TARGET --defense NAME` makes."""

    def trainer(self, target: str) -> Callable[..., Mapping[str, Any]]:
        """The training of this defense for one target.

        Its keyword arguments are those of a reference target's own training (`dataset`, `out`, `seed`, `progress`,
        perhaps `steps`, and options), and perhaps `exchanges`: what a stored run found.

        Args:
            target: registered name.

        Raises:
            ConfigError: there is no training for that target.
        """
        ...
