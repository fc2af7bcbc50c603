"""One place under attack: what was tried there, how it is labelled, and what is chosen."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from attacks.cheatagent.agent import Candidate, Policy, Question
from attacks.cheatagent.similarity import similarity
from attacks.places import Place, in_order, insertion
from attacks.positioning import Variant
from audit.attack import Edits
from audit.edits import Edit, apply
from audit.types import Item, Request


@dataclass
class Slot:
    """A place with its search.

    Attributes:
        place: where.
        request: the clean request.
        question: what the agent is asked.
        policy: what it has learned here.
        best: L_max, the largest loss of the initial policy.
        tried: the candidates of the last proposal.
        losses: their losses.
        known: everything that was tried here, by name, with its loss.
        before: what is inserted elsewhere already, where places are searched one after the other.
    """

    place: Place
    request: Request
    question: Question
    policy: Policy = None
    best: float = -math.inf
    tried: Sequence[Candidate] = ()
    losses: Sequence[float] = ()
    known: dict[str, tuple[Candidate, float]] = field(default_factory=dict)
    before: tuple[tuple[Place, Edit], ...] = ()

    @property
    def top(self) -> tuple[Candidate, float]:
        """The best that was tried."""
        return max(self.known.values(), key=lambda pair: pair[1])

    def edit(self, candidate: Candidate) -> Edit:
        """I(X, δ | s) of eq. 1, as an edit."""
        return insertion(self.place, candidate.what, self.request)

    def edits(self, candidate: Candidate) -> Edits:
        """The candidate's edit, and those before it."""
        return in_order([*self.before, (self.place, self.edit(candidate))])

    def choice(self, weight: float, taken: Collection[str]) -> Candidate | None:
        """Eq. 5: argmax of L_Rec(I(X, δ | s), Y) + λ·Sim(X̂, X) over the last candidates.

        Args:
            weight: λ.
            taken: items that are inserted elsewhere.

        Returns:
            None when no candidate was answered in a way that can be read.
        """
        scored = [
            (loss + weight * similarity(self.request, apply((self.edit(candidate),), self.request)), -n, candidate)
            for n, (candidate, loss) in enumerate(zip(self.tried, self.losses, strict=True))
            if loss > -math.inf and not (isinstance(candidate.what, Item) and candidate.what.id in taken)
        ]
        return max(scored, key=lambda s: s[:2])[2] if scored else None


def labels(losses: Sequence[float], best: float, variant: Variant) -> tuple[float, ...]:
    """T(δ_i) of eq. 3: +1 for a candidate that reaches L_max, −1 for any other.

    The released code weighs by the distance w = L − L_max instead: min(e^w, 2) from above, −min(e^−w, 2) from below.
    """
    if variant == "paper":
        return tuple(1.0 if loss >= best else -1.0 for loss in losses)
    return tuple(
        math.exp(min(loss - best, math.log(2))) if loss >= best else -math.exp(min(best - loss, math.log(2)))
        for loss in losses
    )
