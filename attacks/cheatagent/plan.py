"""How many prefixes, candidates and places a budget of true queries affords."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The size of a search behind positioning.

    Attributes:
        places: where something is inserted (Δ).
        prefixes: random prefixes of the initial policy (k).
        candidates: of one beam (n).
        rounds: most rounds of self-reflection (T).
        last: whether the learned policy proposes once more, which costs n queries a place.
    """

    places: int
    prefixes: int
    candidates: int
    rounds: int
    last: bool

    @property
    def initial(self) -> int:
        """Most queries of the initial policy."""
        return self.places * self.prefixes * self.candidates

    @property
    def round(self) -> int:
        """Most queries of one proposal at every place."""
        return self.places * self.candidates

    @property
    def closing(self) -> int:
        """Most queries behind the last round: the last proposal, and the insertions together."""
        return self.round * self.last + (self.places > 1)


def fit(left: int, places: int, prefixes: int, candidates: int, rounds: int) -> Plan | None:
    """The plan of the paper, or what is left of it in a smaller budget.

    The paper's search costs Δ(k·n + T·n + n) queries, and one for the Δ insertions together, which the paper does not
    spend and a curve of success against queries needs. What does not fit is given up in this order: rounds, down to
    one; prefixes and candidates, the larger of the two first, down to one each; the last round and proposal; places.

    Args:
        left: true queries.
        places: Δ, or fewer where the request has fewer.
        prefixes: k.
        candidates: n.
        rounds: T; 0 for no tuning, where there is no last proposal either.

    Returns:
        None when nothing can be asked.
    """
    if min(left, places) < 1:
        return None
    while places > 1 and places + 1 > left:
        places -= 1
    each = (left - (places > 1)) // places
    last = rounds > 0
    while candidates * (prefixes + rounds + last) > each:
        if rounds > 1:
            rounds -= 1
        elif max(prefixes, candidates) > 1:
            prefixes, candidates = (prefixes - 1, candidates) if prefixes >= candidates else (prefixes, candidates - 1)
        else:
            rounds, last = 0, False
    return Plan(places, prefixes, candidates, rounds, last)
