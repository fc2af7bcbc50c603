"""How well real groups of users are served: quality, calibration, and what saying who one is changes."""

from __future__ import annotations

from audit.modules.fairness.groups.part import Groups

__all__ = ["Groups"]
