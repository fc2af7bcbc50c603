"""An answer with its claims marked in place: what each asserts, what was found about it, and what decided. No markup.

Claims may lie inside one another or overlap. The text is cut at every end of a claim, and a stretch shows the verdict
of the shortest claim around it, so that an inner claim is seen inside an outer one; each claim's number stands where it
ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from audit.findings import CLAIM_VERDICTS, ClaimMark, ClaimVerdict
from audit.text import clip, clip_middle, one_line, visible

MOST = 30
"""Claims of one answer in a report; the worst have the room."""
_AROUND, _INSIDE, _PASSAGE, _NAME = 160, 400, 500, 120

VERDICTS: Mapping[ClaimVerdict, str] = {
    "contradicted": "contradicted",
    "unverifiable": "cannot be checked",
    "supported": "supported",
}
SHAPES: Mapping[ClaimVerdict, str] = {"contradicted": "✖", "unverifiable": "?", "supported": "✔"}
"""A shape beside colour and word, so that a verdict survives print and colour blindness."""

_PREDICATES = {
    "exists": "is an item",
    "series_of": "belongs to the series",
    "in_history": "the user has had",
    "user_likes": "the user likes",
    "similar_to": "is similar to",
    "constraint_ok": "meets the wish",
    "passage": "says",
}
_RUNGS = {
    "structured": "decided by structured facts",
    "nli": "decided by an entailment model",
    "judge": "decided by a language model as judge",
    "": "nothing could decide it",
}


@dataclass(frozen=True)
class Stretch:
    """A piece of the answer.

    Attributes:
        text: safe to print, not yet escaped for a markup.
        verdict: of the claim it belongs to; None outside claims.
        ends: numbers and verdicts of the claims that end with it.
    """

    text: str
    verdict: ClaimVerdict | None = None
    ends: tuple[tuple[int, ClaimVerdict], ...] = ()


@dataclass(frozen=True)
class ClaimLine:
    """One claim, below the text.

    Attributes:
        number: as in the text.
        verdict: what was found.
        what: the claim in short, such as `Heat (1995), year: 1994`.
        decided: by what.
        source: id of the row or passage; may be empty.
        evidence: that row or passage, cut to a bounded length; may be empty.
        note: why; may be empty.
        placed: whether it is marked in the text.
    """

    number: int
    verdict: ClaimVerdict
    what: str
    decided: str
    source: str
    evidence: str
    note: str
    placed: bool


@dataclass(frozen=True)
class Claimed:
    """An answer and its claims.

    Attributes:
        stretches: the text in order; long parts without a claim are cut.
        lines: the claims, by number.
        more: claims that found no room, by verdict, worst first.
    """

    stretches: tuple[Stretch, ...]
    lines: tuple[ClaimLine, ...]
    more: tuple[tuple[ClaimVerdict, int], ...] = ()


def claimed(text: str, marks: Sequence[ClaimMark]) -> Claimed:
    """Mark the claims of an answer.

    Args:
        text: the raw text of the answer, of any length.
        marks: its claims, in any order. One whose place is not in the text is listed all the same.
    """
    worst_first = sorted(marks, key=lambda m: (CLAIM_VERDICTS.index(m.verdict), m.start))
    shown = sorted(worst_first[:MOST], key=lambda m: (m.start, m.end))
    numbered = list(enumerate(shown, 1))
    placed = {number: mark for number, mark in numbered if mark.start < mark.end <= len(text)}
    left = [sum(m.verdict == verdict for m in worst_first[MOST:]) for verdict in CLAIM_VERDICTS]
    return Claimed(
        tuple(_stretches(text, placed)),
        tuple(_line(number, mark, number in placed) for number, mark in numbered),
        tuple((verdict, n) for verdict, n in zip(CLAIM_VERDICTS, left, strict=True) if n),
    )


def _stretches(text: str, placed: Mapping[int, ClaimMark]) -> list[Stretch]:
    cuts = sorted({0, len(text), *(m.start for m in placed.values()), *(m.end for m in placed.values())})
    found = []
    for start, end in pairwise(cuts):
        around = [m for m in placed.values() if m.start <= start and end <= m.end]
        inner = min(around, key=lambda m: (m.end - m.start, CLAIM_VERDICTS.index(m.verdict)), default=None)
        ends = tuple((number, m.verdict) for number, m in placed.items() if m.end == end)
        # Cut before it is made visible: an answer may be megabytes long.
        piece = text[start:end]
        if inner is not None:
            found.append(Stretch(visible(clip_middle(piece, _INSIDE)), inner.verdict, ends))
        else:
            found.append(Stretch(visible(_quiet(piece, first=start == 0, last=end == len(text)))))
    return found


def _quiet(piece: str, *, first: bool, last: bool) -> str:
    """Text without a claim: the ends that lie next to claims."""
    if first and last:
        return clip(piece, 2 * _AROUND)
    if first and len(piece) > _AROUND:
        return f"… {piece[-_AROUND:].lstrip()}"
    if last:
        return clip(piece, _AROUND)
    return clip_middle(piece, 2 * _AROUND)


def _line(number: int, mark: ClaimMark, placed: bool) -> ClaimLine:
    subject, of = clip(one_line(mark.subject), _NAME), clip(one_line(mark.object), _NAME)
    said = _PREDICATES.get(mark.predicate, f"{one_line(mark.predicate)}:")
    if mark.predicate == "exists":
        what = f"“{of or subject}” {said}"
    else:
        what = f"{subject}, {said} {of}" if subject else f"{said[:1].upper()}{said[1:]} {of}"
    return ClaimLine(
        number=number,
        verdict=mark.verdict,
        what=what,
        decided=_RUNGS.get(mark.decided_by, f"decided by {one_line(mark.decided_by)}"),
        source=clip(one_line(mark.source), _NAME),
        evidence=clip_middle(one_line(mark.evidence), _PASSAGE),
        note=one_line(mark.note),
        placed=placed,
    )
