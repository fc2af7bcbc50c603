"""Genres and words tied to groups: in lists of the same person under another label, and in those of real groups."""

from __future__ import annotations

from audit.modules.fairness.stereotypes.part import Stereotypes

__all__ = ["Stereotypes"]
