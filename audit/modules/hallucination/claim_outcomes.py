"""What free-text answers assert, ruled: per answer the claims that are supported, contradicted, and not to be checked.

Answers that say nothing keep their place, so that silence never reads as truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audit.claims import Claim, Facts, Ruling, Rung, Verdict
from audit.claims.extraction.extract import Extractor
from audit.claims.verification.advice import advised_against
from audit.claims.verification.conflicts import Conflict, conflicts
from audit.claims.verification.ladder import Ladder
from audit.claims.verification.structured import StructuredRung
from audit.grounding import Grounder, is_refusal
from audit.knowledge import KnowledgeBase
from audit.modules.base import Context
from audit.modules.hallucination import knowledge as knowledge_option
from audit.modules.hallucination import rungs as rungs_option
from audit.modules.hallucination.passage_rows import PassageReader
from audit.types import Answer, Case, Catalog, Request

Counts = NDArray[np.int64]
Kind = Literal["input", "context", "fact"]
"""What a false claim is in conflict with: the request, the answer itself or its passages, or the facts."""
KINDS: tuple[Kind, ...] = ("input", "context", "fact")

State = Literal["claims", "no_claim", "refused", "unparsable", "empty", "error"]
"""`no_claim`: text that asserts nothing that could be checked. `unparsable`: the target says that its own answer cannot
be read, and no claim was found in it either."""

OF_THE_REQUEST = frozenset({"in_history", "user_likes", "constraint_ok"})
"""Predicates that the request decides, not the world."""

SEARCHED = 5
"""Passages that a claim without a known item is looked up in."""


@dataclass(frozen=True)
class CheckedAnswer:
    """One answer and what was made of it.

    Attributes:
        case: what was asked.
        text: the answer; empty if there is none.
        state: see `State`.
        rulings: one per claim, in the order of the text.
        clashes: pairs of claims of this answer that exclude each other.
        faithful: the claims about items again, ruled by the passages of the request alone; empty where it has none.
        contexts: the passages of the request, each with the item that it is about.
    """

    case: Case
    text: str
    state: State
    rulings: tuple[Ruling, ...] = ()
    clashes: tuple[Conflict, ...] = ()
    faithful: tuple[Ruling, ...] = ()
    contexts: tuple[tuple[str, str | None], ...] = ()

    def count(self, verdict: Verdict, *, predicate: str | None = None, hedged: bool = False) -> int:
        """How many claims were ruled so; those that are softened are never counted with the others."""
        return sum(ruling.verdict == verdict for ruling in self.chosen(predicate=predicate, hedged=hedged))

    def chosen(self, *, predicate: str | None = None, hedged: bool = False) -> list[Ruling]:
        """The rulings on claims of one predicate (None: all), plain or softened; what is said again counts once."""
        return [
            r
            for r in distinct(self.rulings)
            if r.claim.hedged is hedged and (predicate is None or r.claim.predicate == predicate)
        ]

    @cached_property
    def kinds(self) -> Mapping[Kind, int]:
        """How many plain claims conflict with what; one claim may count for several."""
        against = {_place(r.claim) for r in self.faithful if r.verdict == "contradicted" and not r.claim.hedged}
        against |= {_place(claim) for clash in self.clashes for claim in (clash.first, clash.second)}
        false = [r.claim for r in self.rulings if r.verdict == "contradicted" and not r.claim.hedged]
        asked = sum(claim.predicate in OF_THE_REQUEST for claim in false)
        return {"input": asked, "context": len(against), "fact": len(false) - asked}


@dataclass(frozen=True)
class ClaimCounts:
    """Claims per answer, each array of shape (answers,), in the answers' order."""

    supported: Counts
    contradicted: Counts
    unverifiable: Counts

    @property
    def claims(self) -> Counts:
        """All of them: S + X + U."""
        return self.supported + self.contradicted + self.unverifiable

    @property
    def decided(self) -> Counts:
        """S + X."""
        return self.supported + self.contradicted


@dataclass(frozen=True)
class ClaimOutcomes:
    """Answers, checked, in the order in which they were given."""

    answers: tuple[CheckedAnswer, ...]

    def counts(self, *, predicate: str | None = None, hedged: bool = False) -> ClaimCounts:
        """Claims by verdict and answer.

        Args:
            predicate: only these; None: all.
            hedged: those that are softened, instead of those that are not.
        """
        chosen = [one.chosen(predicate=predicate, hedged=hedged) for one in self.answers]
        return _counted(chosen)

    @cached_property
    def faithful(self) -> ClaimCounts:
        """Plain claims about items, by what the passages of the request say of them."""
        return _counted([[r for r in distinct(one.faithful) if not r.claim.hedged] for one in self.answers])

    @cached_property
    def conflicting(self) -> Counts:
        """Per answer, 1 where it contradicts itself."""
        return np.array([int(bool(one.clashes)) for one in self.answers], dtype=np.int64)

    @property
    def predicates(self) -> tuple[str, ...]:
        """Those of the plain claims, most frequent first."""
        found: dict[str, int] = {}
        for one in self.answers:
            for ruling in one.chosen():
                found[ruling.claim.predicate] = found.get(ruling.claim.predicate, 0) + 1
        return tuple(sorted(found, key=lambda name: (-found[name], name)))

    def in_state(self, state: State) -> Counts:
        """Per answer, 1 where it is in this state."""
        return np.array([int(one.state == state) for one in self.answers], dtype=np.int64)


@dataclass(frozen=True)
class ClaimReader:
    """What reads and rules claims; made once for many answers.

    Attributes:
        grounder: over the catalogue.
        extractor: takes the claims out of a text.
        ladder: of checks against the facts.
        passage_ladder: the same checks, against the passages of a request.
        complete: attributes of the catalogue that list all there is.
        base: the user's own documents; None where no rung would read them.
        notes: what was taken from the documents, and what was left out.
    """

    grounder: Grounder
    extractor: Extractor
    ladder: Ladder
    passage_ladder: Ladder
    complete: frozenset[str] = frozenset()
    base: KnowledgeBase | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def build(
        cls, context: Context, knowledge: Mapping[str, Any] | None = None, rungs: Mapping[str, Any] | None = None
    ) -> ClaimReader:
        """From the options of the module.

        Raises:
            ConfigError: an option cannot be used.
            DataError: a document cannot be read.
        """
        catalog, notes = knowledge_option.facts(knowledge, context.dataset.catalog)
        further = rungs_option.build(rungs, context.dataset, context.info)
        reads = bool(further) and bool((knowledge or {}).get("documents"))
        return cls.of(
            catalog,
            further,
            structured=partial(knowledge_option.structured, knowledge),
            columns=knowledge_option.columns(knowledge),
            complete=knowledge_option.complete(knowledge, catalog),
            base=knowledge_option.build(knowledge, catalog) if reads else None,
            notes=notes,
        )

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        rungs: Sequence[Rung] = (),
        *,
        structured: Callable[[], StructuredRung] = StructuredRung,
        columns: Mapping[str, Sequence[str]] | None = None,
        complete: frozenset[str] = frozenset(),
        base: KnowledgeBase | None = None,
        notes: Sequence[str] = (),
    ) -> ClaimReader:
        """From what is built already: structured facts first, then these rungs."""
        grounder = Grounder(catalog)
        # Two rungs of structured facts: each keeps what it has read of its catalogue, and passages are another one.
        facts, passages = (Ladder([structured(), *rungs]) for _ in range(2))
        said = tuple(dict.fromkeys([*notes, *(() if base is None else base.notes)]))
        return cls(grounder, Extractor(grounder, columns), facts, passages, complete, base, said)

    @cached_property
    def passages(self) -> PassageReader:
        """Reads the passages of a request."""
        return PassageReader(self.grounder, self.extractor)

    def facts(self, request: Request, claims: Sequence[Claim]) -> Facts:
        """What claims about one answer are checked against. Not its own passages, which may be wrong.

        A claim whose item is known is looked up by it, because a search can miss and a key cannot; others are searched.
        """
        found: dict[str, str] = {}
        if self.base is not None:
            for item_id in dict.fromkeys(claim.item_id for claim in claims if claim.item_id is not None):
                found |= {document.id: document.text for document in self.base.of_item(item_id)}
            queries = list(dict.fromkeys(f"{c.subject} {c.sentence}".strip() for c in claims))
            for hits in self.base.retrieve_many(queries, SEARCHED) if queries else ():
                found |= {hit.document.id: hit.document.text for hit in hits}
        return Facts(self.grounder.catalog, request, self.complete, found, searched=self.base is not None)

    def given(self, request: Request) -> Facts:
        """What the passages of a request say, and nothing else."""
        texts = {passage.id: passage.text for passage in request.passages}
        return Facts(self.passages.rows(request.passages), request, self.complete, texts)


def claim_outcomes(cases: Sequence[Case], answers: Sequence[Answer], reader: ClaimReader) -> ClaimOutcomes:
    """Extract the claims of every answer and rule on them.

    Args:
        cases: whose requests the answers are to; an edited request is passed in its case.
        answers: one per case, in order.
        reader: made by `ClaimReader.build`.

    Returns:
        One outcome per answer, in order, whatever came of it. `counts()` gives S, X and U per answer,
        `conflicting` the answers that contradict themselves, `faithful` the counts against the request's own passages.
    """
    return ClaimOutcomes(tuple(_checked(case, answer, reader) for case, answer in zip(cases, answers, strict=True)))


def _checked(case: Case, answer: Answer, reader: ClaimReader) -> CheckedAnswer:
    text, request = answer.text or "", case.request
    contexts = tuple((passage.id, reader.passages.about(passage)) for passage in request.passages)
    claims: list[Claim] = []
    if answer.outcome in ("ok", "unparsable") and text.strip():
        claims = reader.extractor.extract(text, request)
    clashes = (*conflicts(claims), *advised_against(text, request, reader.grounder))
    if not claims:
        return CheckedAnswer(case, text, _silence(answer, text, reader.grounder), clashes=clashes, contexts=contexts)
    rulings = tuple(reader.ladder.rule(claims, reader.facts(request, claims)))
    faithful: tuple[Ruling, ...] = ()
    if contexts:
        about = [claim for claim in claims if claim.predicate not in OF_THE_REQUEST]
        faithful = tuple(reader.passage_ladder.rule(about, reader.given(request)))
    return CheckedAnswer(case, text, "claims", rulings, clashes, faithful, contexts)


def _silence(answer: Answer, text: str, grounder: Grounder) -> State:
    if answer.outcome != "ok":
        return answer.outcome
    if not text.strip():
        return "empty"
    refused = is_refusal(text) and grounder.ground_list(text).outcome == "refused"
    return "refused" if refused else "no_claim"


def distinct(rulings: Sequence[Ruling]) -> list[Ruling]:
    """Each claim once, where it is said first: a model that repeats one true line has not said five true things."""
    found: dict[tuple[object, ...], Ruling] = {}
    for ruling in rulings:
        claim = ruling.claim
        about = claim.item_id if claim.item_id is not None else claim.subject.casefold()
        said = (claim.predicate, claim.attribute, about, claim.object.casefold(), claim.polarity, claim.hedged)
        # A statement that is no more than its sentence is that sentence.
        found.setdefault((*said, claim.sentence if claim.predicate == "passage" else ""), ruling)
    return list(found.values())


def _counted(rulings: Sequence[Sequence[Ruling]]) -> ClaimCounts:
    def of(verdict: Verdict) -> Counts:
        return np.array([sum(r.verdict == verdict for r in those) for those in rulings], dtype=np.int64)

    return ClaimCounts(of("supported"), of("contradicted"), of("unverifiable"))


def _place(claim: Claim) -> tuple[int, int, str, str]:
    return claim.start, claim.end, claim.predicate, claim.object
