"""Explanation: what moves an answer, whether a stated reason is the true one, and what would change it."""

from __future__ import annotations

from audit.modules.explanation.module import Explanation

__all__ = ["Explanation"]
