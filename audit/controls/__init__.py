"""Targets with planted flaws of known size, and their clean twins: they audit the audit."""

from __future__ import annotations

from audit.controls.control import Control
from audit.controls.registry import controls

__all__ = ["Control", "controls"]
