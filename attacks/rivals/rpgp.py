"""RPGP: random words and items at the places that CheatAgent's positioning proposes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from attacks.places import title_words
from attacks.positioning import Kinds, Variant, check_kinds, important_places
from attacks.rivals.insertions import Stock, check_counts, declared, distinct, written
from audit.attack import AttackInfo, Probe, Search, Steps


@dataclass(frozen=True)
class Rpgp(Search):
    """Insert at random, but where it matters: step A of CheatAgent without its step B.

    A third of the budget at most goes into positioning; what is left pays for random fillings of the proposed places,
    of which the best is kept. The published rival fills once; at an equal budget it may fill as often as its rivals
    may ask. Without a budget it is one random filling of random places.

    Attributes:
        edits: insert words, items, or both in one ranking of places.
        delta: how many (Δ of the paper, 3 there).
        variant: of positioning; see `important_places`.
    """

    edits: Kinds = "both"
    delta: int = 3
    variant: Variant = "paper"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self.edits, self.variant)
        check_counts(delta=self.delta)

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return declared(
            "rpgp",
            "Random words and items at important places (RPGP)",
            "It tells how much of a clever attack is knowing where to strike, and how much knowing with what.",
            baseline="RPGP",
            delta=self.delta,
        )

    @cached_property
    def _words(self) -> list[str]:
        return title_words(self.catalog.items_in_order)

    def search(self, probe: Probe) -> Steps:
        """Positioning, then random fillings."""
        stock = Stock.of(probe, self.catalog, self._words)
        kinds = stock.kinds(self.edits)
        if kinds is None:
            return ()
        # Step A (section 3.3.1): words and events in one ranking, the Δ most important ones.
        chosen = yield from important_places(probe, self.delta, edits=kinds, variant=self.variant)
        # In place of step B: random tokens, "next to" the chosen ones.
        drafts = distinct(stock.fill(chosen, probe.rng) for _ in range(max(probe.left, 1)))
        tried = [written(draft, probe.request) for draft in drafts]
        if not tried or probe.left < 1:
            return tried[0] if tried else ()
        yield tried
        return None
