"""Defended targets that raise an alarm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from audit.types import Request


@runtime_checkable
class Detects(Protocol):
    """A defended target that says how suspicious a request looks. The threshold is set on clean requests alone."""

    @property
    def threshold(self) -> float:
        """Suspicion above which the alarm is raised."""
        ...

    def suspicion(self, requests: Sequence[Request]) -> Sequence[float]:
        """One finite number per request, higher is more suspicious."""
        ...
