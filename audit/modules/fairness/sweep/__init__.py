"""What a stated attribute changes: FaiRLLM's sweep over the values of attributes, with its noise floor."""

from __future__ import annotations

from audit.modules.fairness.sweep.part import Sweep

__all__ = ["Sweep"]
