"""What an answer asserts, and what was ruled about it: plain records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from audit.types import Catalog, Item, Request

Predicate = Literal[
    "year",
    "genre",
    "creator",
    "cast",
    "runtime",
    "language",
    "series_of",
    "award",
    "platform",
    "price",
    "in_history",
    "user_likes",
    "similar_to",
    "constraint_ok",
    "passage",
]
"""What can be asserted of an item. The set is closed: what fits none of them is no claim that can be checked.
`in_history` says that the user has had it; `constraint_ok` that it meets a wish of the request; `passage` is any other
statement of fact, which only a passage can support."""

Verdict = Literal["supported", "contradicted", "unverifiable"]
"""Always kept apart: what nobody can check is neither true nor made up."""

RungName = Literal["structured", "nli", "judge"]


@dataclass(frozen=True)
class Claim:
    """One assertion of an answer about one item.

    Attributes:
        predicate: what is asserted.
        object: of what, as written (`1994`, `horror`, `Ridley Scott`, the title of a history item).
        subject: title of the item as written; empty for a claim about the user.
        item_id: of the subject, if it was found in the catalogue.
        start: where the claim begins in the raw text of the answer.
        end: one past where it ends. The words of the claim stand inside this span, or it was not made by the answer.
        sentence: the sentence around it, for people and for rungs that read text.
        polarity: False for a denial (“is not a horror film”).
        hedged: whether it is softened (“I think”, “probably”); reported apart.
        approximate: whether the object is (“about two hours”, “around 1990”).
        attribute: the column of the catalogue that the answer names itself (“its publisher is …”), if it does; else the
            predicate says which columns may hold it (`audit.claims.columns`).
    """

    predicate: Predicate
    object: str
    subject: str
    item_id: str | None
    start: int
    end: int
    sentence: str
    polarity: bool = True
    hedged: bool = False
    approximate: bool = False
    attribute: str = ""


@dataclass(frozen=True)
class Facts:
    """What claims about one answer may be checked against.

    Attributes:
        catalog: the items, with their attributes as the structured facts.
        request: what was asked: its history, its passages, its constraints.
        complete: attributes whose values in the catalogue are all there are: only of these does a missing value
            contradict a claim.
        passages: further texts that may decide, by id, such as what a knowledge base has on the items.
        searched: whether a knowledge base was asked for passages: where none came that is about a claim's item, the
            retrieval missed, and that is said apart.
    """

    catalog: Catalog
    request: Request
    complete: frozenset[str] = frozenset()
    passages: dict[str, str] = field(default_factory=dict)
    searched: bool = False

    def item(self, claim: Claim) -> Item | None:
        """The claim's item, if it is in the catalogue."""
        return None if claim.item_id is None else self.catalog.get(claim.item_id)


@dataclass(frozen=True)
class Ruling:
    """What was found about a claim.

    Attributes:
        claim: which.
        verdict: see `Verdict`.
        rung: what decided; None where nothing could.
        evidence: the row or the passage that decided, as a person can read it.
        source: id of that row or passage.
        note: why, in a few words.
    """

    claim: Claim
    verdict: Verdict
    rung: RungName | None = None
    evidence: str = ""
    source: str = ""
    note: str = ""


class Rung(Protocol):
    """One way to check claims. The first that decides is believed."""

    name: RungName

    def rule(self, claims: list[Claim], facts: Facts) -> list[Ruling | None]:
        """One ruling per claim, in order; None where this way cannot decide.

        A ruling whose `rung` is None decides nothing either: its note says why, and the next rung may try.
        """
        ...
