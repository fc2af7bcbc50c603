"""What a dialect changes, beyond what slips of the pen and casual speech do."""

from __future__ import annotations

from audit.modules.fairness.dialect.part import Dialect

__all__ = ["Dialect"]
