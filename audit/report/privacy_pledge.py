"""The guarantee of a training as a report shows it: the unit first, what it rests on, and what takes it away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from audit.findings import Finding, Verdict
from audit.text import one_line


@dataclass(frozen=True)
class Pledge:
    """What the training promises to whom it learnt from.

    Attributes:
        finding: the card as it was read.
        state: `promised`; `void` where the card promises and may not; `none` where there is no card, or no noise.
        terms: what the promise rests on, as (head, words).
        flaws: why it is void, or why there is none.
        broken: lower bounds that contradict it.
    """

    finding: Finding
    state: Literal["promised", "void", "none"]
    terms: tuple[tuple[str, str], ...]
    flaws: str
    broken: tuple[Finding, ...]

    @property
    def to_user(self) -> bool:
        """Whether it speaks of a user with all their rows, and not of a single row."""
        return self.finding.params.get("unit") == "user"

    @property
    def verdict(self) -> Verdict | None:
        """As a shape and a colour: what is broken or void is never shown in the colour of what holds."""
        if self.broken or self.state == "void":
            return "fail"
        return self.finding.verdict if self.state == "promised" else "not_applicable"

    @property
    def answer(self) -> str:
        """The same in a sentence, the unit first."""
        if self.state == "none":
            return f"No guarantee: {self.flaws}."
        if self.state == "void":
            return f"No guarantee, though there is a card: it is void, for {self.flaws}."
        epsilon = self.finding.estimate or 0.0
        whom = "one user with all their rows" if self.to_user else "a single row, not a person"
        if self.broken:
            most = max(f.estimate or 0.0 for f in self.broken)
            return f"Broken: ε = {epsilon:.3g} is promised to {whom}, and an attack proves ε to be at least {most:.3g}."
        return f"ε = {epsilon:.3g} for {whom}; {strength(epsilon)}."


_HEADS = {
    "hides": "Hides",
    "promise": "Promise",
    "training": "Training",
    "spent": "ε of the steps run",
    "repeats": "Repeats",
    "person": "For a person",
    "outside": "Not covered",
    "whose": "Whose card",
}
"""What the terms of a card are called; see `audit.modules.privacy.promise.terms`."""


def strength(epsilon: float) -> str:
    """How ε is read in practice."""
    if epsilon <= 1:
        return "strong by common practice"
    if epsilon <= 10:
        return "reasonable by common practice, if leaks are measured too"
    return "weak by common practice"


def pledge_of(ours: Sequence[Finding]) -> Pledge | None:
    """The guarantee as the findings tell it; None where nobody asked for it."""
    found = next((f for f in ours if f.metric == "epsilon_claimed"), None)
    void = next((f for f in ours if f.metric == "guarantee_void" and f.estimate), None)
    if void is not None:
        return Pledge(void, "void", _terms(void), one_line(str(void.facts.get("flaws", ""))), ())
    if found is None:
        return None
    if found.estimate is None:
        return Pledge(found, "none", (), one_line(found.reason).rstrip("."), ())
    bounds = [f for f in ours if f.metric == "epsilon_lower_bound" and f.effect is not None and f.effect > 0]
    return Pledge(found, "promised", _terms(found), "", tuple(f for f in bounds if not f.unmet))


def _terms(finding: Finding) -> tuple[tuple[str, str], ...]:
    """What the card says, each under a head of its own."""
    told = {name: one_line(str(words)) for name, words in finding.facts.items() if name in _HEADS}
    return tuple((head, told[name]) for name, head in _HEADS.items() if told.get(name))
