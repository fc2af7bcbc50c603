"""What an answer asserts, and whether it is so: claims with their place in the text, and the ladder of checks."""

from __future__ import annotations

from audit.claims.claim import Claim, Facts, Predicate, Ruling, Rung, RungName, Verdict

__all__ = ["Claim", "Facts", "Predicate", "Ruling", "Rung", "RungName", "Verdict"]
