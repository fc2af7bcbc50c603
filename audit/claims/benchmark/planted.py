"""Answers of known truth, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from audit.claims.benchmark.drafts import Part
from audit.claims.claim import Facts, Predicate, Verdict
from audit.types import Catalog, Request


@dataclass(frozen=True)
class PlantedClaim:
    """A claim whose truth is known.

    Attributes:
        predicate: what is asserted.
        object: of what.
        start: where the object stands in the text.
        end: one past it.
        item_id: of the item it is about; None for one that was made up, and for claims about the user.
        truth: what a perfect checker with this knowledge would rule.
        kind: of the injected error it is, or empty.
        hedged: whether it is softened.
        tolerated: false by less than the checker's convention minds.
    """

    predicate: Predicate
    object: str
    start: int
    end: int
    item_id: str | None
    truth: Verdict
    kind: str = ""
    hedged: bool = False
    tolerated: bool = False


@dataclass(frozen=True)
class PlantedTitle:
    """A recommended title; `item_id` is None for one that was made up, `kind` that of its injection."""

    title: str
    start: int
    end: int
    item_id: str | None
    kind: str = ""


@dataclass(frozen=True)
class PlantedAnswer:
    """An answer of known truth.

    Attributes:
        text: the answer.
        request: what it answers.
        style: `list`, `prose` or `json`.
        kind: of the injected error; empty for a clean answer.
        claims: what it asserts.
        titles: what it recommends.
        conflict: whether it contradicts itself.
    """

    text: str
    request: Request
    style: str
    kind: str
    claims: tuple[PlantedClaim, ...]
    titles: tuple[PlantedTitle, ...]
    conflict: bool = False


@dataclass(frozen=True)
class Benchmark:
    """Answers of known truth, and what they are to be checked against.

    Attributes:
        answers: half of them clean.
        catalog: the knowledge: the catalogue without the facts that were taken out for `hidden-fact`.
        complete: its columns that list all there is.
        part: which half of the items and of the sentences was used.
        skipped: kinds that this catalogue cannot give, with the reason.
    """

    answers: tuple[PlantedAnswer, ...]
    catalog: Catalog
    complete: frozenset[str]
    part: Part
    skipped: Mapping[str, str] = field(default_factory=dict)

    def facts(self, answer: PlantedAnswer) -> Facts:
        """What claims of an answer are checked against."""
        return Facts(self.catalog, answer.request, self.complete)
