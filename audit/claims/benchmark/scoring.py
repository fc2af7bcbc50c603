"""What a checker made of answers whose truth is known, in counts per answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from audit.claims.benchmark.planted import Benchmark, PlantedAnswer, PlantedClaim, PlantedTitle
from audit.claims.claim import Claim, Facts, Ruling, Verdict
from audit.grounding import GroundedList, Grounder
from audit.types import Request

Extract = Callable[[str, Request, Grounder], list[Claim]]
Bound = Literal["low", "high", "decided"]
"""What is said of a title near an item: that it is one, that it is none, or nothing, so that it is left out."""
State = Literal["found", "other", "ambiguous", "absent", "unread"]
"""Of a planted title: tied to its item, tied to another one, near one, to none, or not read as a title at all."""

VERDICTS: tuple[Verdict, ...] = ("supported", "contradicted", "unverifiable")
STATES: tuple[State, ...] = ("found", "other", "ambiguous", "absent", "unread")
MISSED = len(VERDICTS)
"""Column of the claims that were not extracted."""

Counts = NDArray[np.int64]


class Rules(Protocol):
    """What `audit.claims.verification.ladder.Ladder` offers."""

    def rule(self, claims: list[Claim], facts: Facts) -> list[Ruling]:
        """One ruling per claim."""
        ...


@dataclass(frozen=True)
class Read:
    """One answer of known truth, and what the checker made of it.

    Attributes:
        answer: the answer.
        rulings: all that was extracted, ruled.
        matched: for each planted claim the ruling it was given; None where it was not extracted.
        extra: rulings of what was extracted and not planted.
        states: what was made of each recommended title.
        links: the item each recommended title was tied to.
        conflict: whether the answer was found to contradict itself; None where nothing looks for that.
    """

    answer: PlantedAnswer
    rulings: tuple[Ruling, ...]
    matched: tuple[Ruling | None, ...]
    extra: tuple[Ruling, ...]
    states: tuple[State, ...]
    links: tuple[str | None, ...]
    conflict: bool | None = None

    @cached_property
    def alarms(self) -> int:
        """Claims ruled contradicted and titles found to be nobody's that are nothing of the kind."""
        pairs = zip(self.answer.claims, self.matched, strict=True)
        claims = sum(
            ruling is not None and ruling.verdict == "contradicted" and planted.truth != "contradicted"
            for planted, ruling in pairs
        )
        titles = zip(self.answer.titles, self.states, strict=True)
        return (
            claims
            + sum(ruling.verdict == "contradicted" for ruling in self.extra)
            + sum(title.item_id is not None and state == "absent" for title, state in titles)
        )

    @cached_property
    def accused(self) -> bool:
        """Whether the injected change itself was held against the answer: ruled contradicted, or no item's title."""
        kind = self.answer.kind
        claims = zip(self.answer.claims, self.matched, strict=True)
        titles = zip(self.answer.titles, self.states, strict=True)
        return any(
            one.kind == kind and ruling is not None and ruling.verdict == "contradicted" for one, ruling in claims
        ) or any(title.kind == kind and state in ("absent", "other") for title, state in titles)

    @cached_property
    def caught(self) -> bool | None:
        """Whether the injected error was found, or the harmless change let pass; None for a clean answer."""
        kind = self.answer.kind
        if not kind:
            return None
        for title, state, link in zip(self.answer.titles, self.states, self.links, strict=True):
            if title.kind != kind:
                continue
            if kind == "consumed":
                return link in {event.item.id for event in self.answer.request.user.history}
            if title.item_id is None:
                return state == "absent"
            if kind in ("typo", "alias"):
                return state == "found"
        if kind == "self-contradiction" and self.conflict is not None:
            return self.conflict
        pairs = zip(self.answer.claims, self.matched, strict=True)
        return all(
            ruling is not None
            and ruling.verdict == ("supported" if planted.tolerated else planted.truth)
            and (kind != "hedged" or ruling.claim.hedged)
            for planted, ruling in pairs
            if planted.kind == kind
        )


@dataclass(frozen=True)
class CheckerAudit:
    """A checker, audited.

    Attributes:
        benchmark: the answers.
        reads: what was made of each.
        seconds: how long extraction and ruling took.
    """

    benchmark: Benchmark
    reads: tuple[Read, ...]
    seconds: float

    @property
    def planted(self) -> int:
        """Claims whose truth is known."""
        return sum(len(read.answer.claims) for read in self.reads)

    @property
    def seconds_per_thousand(self) -> float:
        """Time for a thousand claims, extraction and grounding of titles included."""
        return 1000.0 * self.seconds / max(1, sum(len(read.rulings) for read in self.reads))

    @cached_property
    def confusion(self) -> Counts:
        """Claims by what they are and what they were ruled, shape (answers, 3, 4), in the order of `VERDICTS`.

        The fourth column holds claims that were not extracted. Years that are off by no more than the convention lets
        pass are left out: what they ought to be ruled is a matter of that convention.
        """
        counts = np.zeros((len(self.reads), len(VERDICTS), len(VERDICTS) + 1), dtype=np.int64)
        for row, read in enumerate(self.reads):
            for planted, ruling in zip(read.answer.claims, read.matched, strict=True):
                if not planted.tolerated:
                    ruled = MISSED if ruling is None else VERDICTS.index(ruling.verdict)
                    counts[row, VERDICTS.index(planted.truth), ruled] += 1
        return counts

    @cached_property
    def existence(self) -> Counts:
        """Titles by what they are (an item, made up) and what was made of them, shape (answers, 2, 5): `STATES`."""
        counts = np.zeros((len(self.reads), 2, len(STATES)), dtype=np.int64)
        for row, read in enumerate(self.reads):
            for title, state in zip(read.answer.titles, read.states, strict=True):
                counts[row, int(title.item_id is None), STATES.index(state)] += 1
        return counts

    @cached_property
    def extra(self) -> Counts:
        """Per answer, claims that nobody planted, by what they were ruled, shape (answers, 3), as in `VERDICTS`."""
        found = [[sum(r.verdict == v for r in read.extra) for v in VERDICTS] for read in self.reads]
        return np.array(found, dtype=np.int64).reshape(len(self.reads), len(VERDICTS))

    def rows(self, kind: str | None = None) -> NDArray[np.bool_]:
        """The answers with an error of this kind; all for None."""
        return np.array([kind is None or read.answer.kind == kind for read in self.reads])

    def contradicted(self, rows: NDArray[np.bool_] | None = None) -> tuple[Counts, Counts, Counts]:
        """True positives, false positives and false negatives for `contradicted`, per answer.

        A false claim that was not extracted is a false negative; what was made of something nobody planted is a false
        positive.
        """
        counts = self.confusion
        true = counts[:, 1, 1]
        false = counts[:, :, 1].sum(axis=1) - true + self.extra[:, 1]
        missed = counts[:, 1, :].sum(axis=1) - true
        chosen = slice(None) if rows is None else rows
        return true[chosen], false[chosen], missed[chosen]

    def invented(self, bound: Bound, rows: NDArray[np.bool_] | None = None) -> tuple[Counts, Counts, Counts]:
        """The same for titles that are nobody's, by what is said of those near an item (see `Bound`)."""
        near = STATES.index("ambiguous")
        flags = [STATES.index("absent")] + ([near] if bound == "high" else [])
        true, false = (self.existence[:, truth][:, flags].sum(axis=1) for truth in (1, 0))
        missed = self.existence[:, 1].sum(axis=1) - true
        if bound == "decided":
            missed = missed - self.existence[:, 1, near]
        chosen = slice(None) if rows is None else rows
        return true[chosen], false[chosen], missed[chosen]


def run_checker(
    benchmark: Benchmark,
    extract: Extract,
    ladder: Rules,
    *,
    grounder: Grounder | None = None,
    conflicts: Callable[[Sequence[Claim]], Sequence[object]] | None = None,
) -> CheckerAudit:
    """Extract, rule and compare with the truth.

    Args:
        benchmark: answers of known truth.
        extract: as in `audit.claims.extraction.extract`.
        ladder: as in `audit.claims.verification.ladder`.
        grounder: over the benchmark's knowledge; made here if it is None.
        conflicts: as in `audit.claims.verification.conflicts`; None where nothing looks for self-contradictions.
    """
    grounder = Grounder(benchmark.catalog) if grounder is None else grounder
    started, reads = time.perf_counter(), []
    for answer in benchmark.answers:
        facts = benchmark.facts(answer)
        claims = extract(answer.text, answer.request, grounder)
        rulings = ladder.rule(claims, facts)
        matched, extra = _paired(answer.claims, rulings)
        history = [event.item for event in answer.request.user.history]
        listed = grounder.ground_list(answer.text, history=history, k=answer.request.k)
        states, links = zip(*(_state(title, listed) for title in answer.titles), strict=True)
        clash = None if conflicts is None else bool(conflicts(claims))
        reads.append(Read(answer, tuple(rulings), matched, extra, states, links, clash))
    return CheckerAudit(benchmark, tuple(reads), time.perf_counter() - started)


def _paired(
    planted: Sequence[PlantedClaim], rulings: Sequence[Ruling]
) -> tuple[tuple[Ruling | None, ...], tuple[Ruling, ...]]:
    """Which ruling each planted claim was given: of its predicate, with its object inside the span.

    A claim that was extracted twice is matched once, and its double is no claim that nobody planted.
    """
    matched: list[Ruling | None] = [None] * len(planted)
    extra = []
    for ruling in rulings:
        claim = ruling.claim
        over = [
            n
            for n, one in enumerate(planted)
            if one.predicate == claim.predicate and claim.start < one.end and one.start < claim.end
        ]
        if not over:
            extra.append(ruling)
            continue
        # A span may hold two planted objects ("a drama, and a comedy"): the one that was said, else the first left.
        said = [n for n in over if _same(planted[n].object, claim.object)]
        free = [n for n in said or over if matched[n] is None]
        if free:
            matched[free[0]] = ruling
    return tuple(matched), tuple(extra)


def _same(planted: str, said: str) -> bool:
    one, other = ("".join(c for c in text.casefold() if c.isalnum()) for text in (planted, said))
    return one == other or (bool(other) and one in other)


def _state(title: PlantedTitle, listed: GroundedList) -> tuple[State, str | None]:
    for entry, match in zip(listed.entries, listed.matches, strict=True):
        if entry.start < title.end and title.start < entry.end:
            if match.item_id is not None:
                return ("found" if match.item_id == title.item_id else "other"), match.item_id
            return ("ambiguous" if match.status == "ambiguous" else "absent"), None
    return "unread", None
