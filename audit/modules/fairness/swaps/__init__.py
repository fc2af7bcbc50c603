"""One value of an attribute exchanged for another, everything else the same."""

from __future__ import annotations

from audit.modules.fairness.swaps.part import Swaps

__all__ = ["Swaps"]
