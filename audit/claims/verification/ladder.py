"""The ladder: ways to check, in order. The first that decides is believed; what none decides stays unverifiable."""

from __future__ import annotations

from collections.abc import Sequence

from audit.claims.claim import Claim, Facts, Ruling, Rung
from audit.claims.verification.reading import texts
from audit.claims.verification.structured import StructuredRung

RETRIEVAL_MISS = "retrieval miss: no passage about it came"
"""In the note of a claim that could not be checked because nothing was found to check it against."""

_ABOUT_USER = ("in_history", "user_likes")
"""Predicates that no passage can settle, so that none is missed."""


class Ladder:
    """Asks each rung for what the ones before left open.

    Args:
        rungs: in the order in which they are asked; None: structured facts only.

    Raises:
        ValueError: two rungs have one name.
    """

    def __init__(self, rungs: Sequence[Rung] | None = None) -> None:
        self.rungs: tuple[Rung, ...] = (StructuredRung(),) if rungs is None else tuple(rungs)
        names = [rung.name for rung in self.rungs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"rungs: {twice!r} is there twice; give each rung once")

    def rule(self, claims: Sequence[Claim], facts: Facts) -> list[Ruling]:
        """One ruling per claim, in order.

        A ruling without a rung is `unverifiable`; its note holds what the rungs said of it, and `RETRIEVAL_MISS` where
        passages were searched for and none is about the claim's item.
        """
        decided: list[Ruling | None] = [None] * len(claims)
        notes: list[list[str]] = [[] for _ in claims]
        for rung in self.rungs:
            left = [at for at, ruling in enumerate(decided) if ruling is None]
            if not left:
                break
            for at, ruling in zip(left, rung.rule([claims[at] for at in left], facts), strict=True):
                if ruling is None:
                    continue
                if ruling.rung is None:
                    notes[at] += [ruling.note] if ruling.note else []
                else:
                    decided[at] = ruling
        return [
            _open(claim, facts, said) if ruling is None else ruling
            for claim, ruling, said in zip(claims, decided, notes, strict=True)
        ]


def _open(claim: Claim, facts: Facts, notes: list[str]) -> Ruling:
    if facts.searched and claim.predicate not in _ABOUT_USER and not _passage_about(claim, facts):
        notes = [*notes, RETRIEVAL_MISS]
    return Ruling(claim, "unverifiable", None, note="; ".join(dict.fromkeys(notes)))


def _passage_about(claim: Claim, facts: Facts) -> bool:
    """Whether there is any text beside the item's own row, which is always there."""
    own = f"item:{claim.item_id}"
    return any(document.id != own for document in texts(claim, facts))
