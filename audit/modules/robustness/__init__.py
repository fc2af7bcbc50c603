"""Robustness: does the answer hold when the wording, the order or the history is disturbed?

The null comes first. Every attack is held against a benign change of the same kind, on the same users: what an attack
moves beyond that floor is its effect.
"""

from __future__ import annotations

from audit.modules.robustness.module import Robustness

__all__ = ["Robustness"]
