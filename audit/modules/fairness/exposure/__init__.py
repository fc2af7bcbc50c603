"""Who gets the exposure: shares of groups of items, spread over the catalogue, and popularity."""

from __future__ import annotations

from audit.modules.fairness.exposure.part import Exposure

__all__ = ["Exposure"]
