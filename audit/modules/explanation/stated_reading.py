"""What an answer in free text recommends first, and which items of the history it names as reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from audit.claims import Claim
from audit.claims.extraction.extract import Extractor
from audit.claims.verification.history import Past, Titles
from audit.findings import ClaimMark
from audit.grounding import Grounder, normalise
from audit.types import Answer, Catalog, Request

_REASONS = ("in_history", "user_likes", "similar_to")
"""Claims that may name an item of the history. Only `in_history` says that the user has had it: likeness to an item
that they have not had is no invention."""


@dataclass(frozen=True)
class Stated:
    """One answer as it was read.

    Attributes:
        text: the answer.
        recommended: what it names, best first, without what the user has had: ids, or titles that are no item's.
        cited: ids of the items of the history that it names as reasons.
        invented: titles that it says the user has had, and that the history lacks.
        undecided: titles of which that cannot be said.
        marks: those claims with their places, for evidence.
        outcome: `ok`, or why there is nothing to read.
    """

    text: str
    recommended: tuple[str, ...] = ()
    cited: frozenset[str] = frozenset()
    invented: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    marks: tuple[ClaimMark, ...] = ()
    outcome: str = "ok"

    @property
    def first(self) -> str | None:
        """The first recommendation; None where there is none."""
        return self.recommended[0] if self.recommended else None

    def worth(self, name: str) -> float:
        """1 / place of a recommendation; 0 where it is not named."""
        return 1.0 / (self.recommended.index(name) + 1) if name in self.recommended else 0.0


@dataclass
class Reader:
    """Reads answers; what it needs of a catalogue is made once."""

    catalog: Catalog
    _grounder: Grounder = field(init=False)
    _extractor: Extractor = field(init=False)
    _titles: Titles = field(init=False)

    def __post_init__(self) -> None:
        self._grounder = Grounder(self.catalog)
        self._extractor = Extractor(self._grounder)
        self._titles = Titles(self.catalog)

    def read(self, answer: Answer, asked: Request, whole: Request) -> Stated:
        """Read one answer.

        Args:
            answer: as it came.
            asked: what it answers: reasons are held against this history.
            whole: the same with nothing taken away: what the user has had is no recommendation, even where the target
                was not told of it.
        """
        text = _text(answer)
        if answer.outcome != "ok" or not text.strip():
            return Stated(text, outcome=answer.outcome if answer.outcome != "ok" else "empty")
        past = Past(asked, self._titles)
        by_title = {item.title: item.id for item in reversed(past.items)}
        cited: set[str] = set()
        invented: list[str] = []
        undecided: list[str] = []
        marks: list[ClaimMark] = []
        for claim in self._extractor.extract(text, asked):
            if claim.predicate not in _REASONS or not claim.polarity:
                continue
            found = past.holds(claim.object)
            says_so = claim.predicate == "in_history"
            if found.inside:
                cited |= {by_title[t] for t in [found.evidence.removeprefix("history: ")] if t in by_title}
                marks.append(_mark(claim, "supported", found.evidence, found.note))
            elif says_so and found.inside is None:
                undecided.append(claim.object)
                marks.append(_mark(claim, "unverifiable", "", found.note))
            elif says_so:
                invented.append(claim.object)
                marks.append(_mark(claim, "contradicted", found.evidence, found.note or "not in the history"))
        spans = [(m.start, m.end) for m in marks]
        return Stated(
            text,
            tuple(self._recommended(answer, text, whole, spans)),
            frozenset(cited),
            tuple(invented),
            tuple(undecided),
            tuple(marks),
        )

    def _recommended(self, answer: Answer, text: str, whole: Request, reasons: Sequence[tuple[int, int]]) -> list[str]:
        had: Mapping[str, str] = {event.item.id: event.item.title for event in whole.user.history}
        own = {normalise(title).text for title in had.values()}
        named: list[tuple[str | None, str]]
        if answer.ranked:
            named = [(entry.item_id, entry.title) for entry in answer.ranked]
        else:
            history = [event.item for event in whole.user.history]
            listed = self._grounder.ground_list(text, candidates=whole.candidates, history=history)
            places = [(entry.start, entry.end) for entry in listed.entries]
            named = [
                (entry.item_id, entry.title)
                for entry, (start, end) in zip(listed.ranked, places, strict=True)
                if not any(a <= start and end <= b for a, b in reasons)
            ]
            if not named:
                # Prose without a list: the titles in their order, but for those that are reasons.
                named = [
                    (mention.match.item_id, mention.title)
                    for mention in self._grounder.ground_mentions(
                        text, candidates=[*(whole.candidates or ()), *history]
                    )
                    if not any(a < mention.end and mention.start < b for a, b in reasons)
                ]
        names = [
            item_id if item_id is not None else f"\0{normalise(title).text}"
            for item_id, title in named
            if item_id not in had and (item_id is not None or normalise(title).text not in own)
        ]
        return list(dict.fromkeys(names))


def _text(answer: Answer) -> str:
    """The text, or the reasons that stand beside a list."""
    if answer.text:
        return answer.text
    return "\n".join(
        f"{place}. {entry.title} - {entry.reason}" if entry.reason else f"{place}. {entry.title}"
        for place, entry in enumerate(answer.ranked, 1)
    )


def _mark(claim: Claim, verdict: str, evidence: str, note: str) -> ClaimMark:
    return ClaimMark(
        claim.start, claim.end, verdict, claim.predicate, claim.object, claim.subject,  # type: ignore[arg-type]
        decided_by="structured" if verdict != "unverifiable" else "", source="history", evidence=evidence, note=note,
    )  # fmt: skip
