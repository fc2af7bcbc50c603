"""Retrieval as a mitigation: the target is given what the knowledge base holds, asked to cite it, and held to it."""

from __future__ import annotations

from defenses.grounding.defense import Grounded, Grounding

__all__ = ["Grounded", "Grounding"]
