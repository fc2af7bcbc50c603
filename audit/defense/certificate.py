"""What a certificate says: for which edits, and how many of them, the answer of a smoothed target cannot change.

A certificate is about the *smoothed* target, never about the one behind it, and about edits of whole units (a history
item with all its text, a word of an item's own text). It is silent on edits of anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from audit.types import Answer, Request

EditKind = Literal["substitution", "insertion", "deletion"]
"""What is done to units: exchanged in place, added, or taken away."""

Statement = Literal["yes", "no", "in_top_k", "not_in_top_k"]
"""What is certified of an item: the decision about it, or whether it is among the first k. A ranking of the whole
catalogue leaves out what the user has: there an item stays unless an edit puts that very item into the history."""

Method = Literal["exact", "monte-carlo", "heuristic-released-code"]
"""How the votes were counted: all kept sets; a fresh sample with a one-sided bound at level alpha; or the formula of
published code, which is no certificate and stands here for comparison only."""

ABSTAINED = -1
"""Radius of a claim that does not even hold for the request as it is."""


@dataclass(frozen=True)
class Claim:
    """One certified statement about one item.

    Attributes:
        item_id: the item.
        statement: what holds of it.
        radius: by kind of edit, the most units that may be edited, all of that kind, without the statement becoming
            false; -1 (`ABSTAINED`) where it is not certified even without any edit. Kinds that the kernel does not
            cover are absent: they are not certified.
        votes: copies that voted for the statement.
        lower: lower bound on the probability of such a vote; exact where the method is.
        upper: upper bound on it.
    """

    item_id: str
    statement: Statement
    radius: Mapping[EditKind, int]
    votes: int
    lower: float
    upper: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "item_id": self.item_id,
            "statement": self.statement,
            "radius": dict(self.radius),
            "votes": self.votes,
            "lower": self.lower,
            "upper": self.upper,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Claim:
        """Inverse of `to_dict`."""
        return cls(
            data["item_id"], data["statement"], dict(data["radius"]), data["votes"], data["lower"], data["upper"]
        )


@dataclass(frozen=True)
class Certificate:
    """What is certified about the answer to one request.

    Attributes:
        digest: of the request.
        answer: what the smoothed target answers; draw 0, where it draws.
        claims: statements about that answer, with their radii.
        method: see `Method`.
        kernel: which units each copy keeps: `K1` (k of h, the others masked in place), `K2` (k of h, the others
            dropped) or `K3` (each with probability 1 - q).
        unit: what one unit is, for a report ("history item", "word of the item's text").
        units: h, how many units this request has.
        kept: k, how many a copy keeps; for K3 the expected number.
        samples: copies counted; for the exact method the number of kept sets.
        alpha: error level of all claims of this request together; 0 for the exact method.
        family: how many statements alpha was split over.
        failures: copies without a readable answer. They count as votes for nobody.
        calls: asks of the bare target.
        seconds: wall time.
        reason: why nothing is certified (too few units, say); empty where the request is covered.
    """

    digest: str
    answer: Answer
    claims: tuple[Claim, ...] = ()
    method: Method = "exact"
    kernel: str = "K2"
    unit: str = "history item"
    units: int = 0
    kept: float = 0.0
    samples: int = 0
    alpha: float = 0.0
    family: int = 1
    failures: int = 0
    calls: int = 0
    seconds: float = field(default=0.0, compare=False)
    reason: str = ""

    @property
    def covered(self) -> bool:
        """Whether there is anything certified here at all."""
        return not self.reason

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "digest": self.digest,
            "answer": self.answer.to_dict(),
            "claims": [c.to_dict() for c in self.claims],
            "method": self.method,
            "kernel": self.kernel,
            "unit": self.unit,
            "units": self.units,
            "kept": self.kept,
            "samples": self.samples,
            "alpha": self.alpha,
            "family": self.family,
            "failures": self.failures,
            "calls": self.calls,
            "seconds": self.seconds,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Certificate:
        """Inverse of `to_dict`."""
        rest = {k: v for k, v in data.items() if k not in {"answer", "claims"}}
        return cls(
            answer=Answer.from_dict(data["answer"]), claims=tuple(Claim.from_dict(c) for c in data["claims"]), **rest
        )


@runtime_checkable
class Certifies(Protocol):
    """A smoothed target that certifies its answers."""

    def certify(self, request: Request) -> Certificate:
        """What is certified about the answer to this request. See `certify_all`."""
        ...

    def certify_all(self, requests: Sequence[Request]) -> Sequence[Certificate]:
        """One certificate per request; their copies reach the target together.

        A request that cannot be certified (too few units, say) gets a certificate without claims that says why.
        """
        ...
