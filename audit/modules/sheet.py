"""Where a module's judges put what they find, and the evidence for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from audit.claims import Ruling
from audit.edits import Edit, apply
from audit.findings import CLAIM_VERDICTS, Attributed, ClaimMark, Evidence
from audit.modules.base import Context, Output
from audit.modules.report_card import ReportCard
from audit.text import clip, clip_middle
from audit.types import Request

MOST_BARS = 40
"""Bars kept of one attribution; beyond these nobody compares."""
MOST_CLAIMS = 100
"""Claims kept of one answer; an answer of megabytes holds more than anybody opens."""
_NAME, _PASSAGE, _NOTE = 200, 1200, 300


@dataclass(frozen=True)
class Sheet:
    """Collects what one judge finds.

    Attributes:
        context: what is audited.
        card: the findings.
        output: the evidence.
        examples: pieces of evidence kept per finding.
    """

    context: Context
    card: ReportCard
    output: Output
    examples: int

    def show(
        self,
        case: str,
        title: str,
        request: Request,
        note: str,
        *,
        repeat: int = 0,
        claims: Sequence[Ruling | ClaimMark] = (),
        attribution: Attributed | None = None,
    ) -> str:
        """Keep a request and its answer as evidence; returns its id.

        Args:
            case: whose request it is.
            title: one line that says what there is to see.
            request: as asked.
            note: what the numbers of this case were.
            repeat: which repeat of the request is shown.
            claims: what the answer asserts, with what was found about it: shown in its text. Of very many the worst
                are kept, and the note says so.
            attribution: what moved the answer. Of very many bars the longest are kept, and the note says so.
        """
        marks, left_out = marked(claims)
        bars, bars_left_out = charted(attribution)
        return self._keep(
            Evidence(
                case=case,
                title=title,
                before=request.digest,
                note=_joined(note, left_out, bars_left_out),
                before_repeat=self._stored(repeat),
                claims=marks,
                attribution=bars,
            )
        )

    def compare(
        self,
        case: str,
        title: str,
        request: Request,
        edits: Sequence[Edit],
        note: str,
        *,
        repeat: int = 0,
        after_repeat: int = 0,
        claims: Sequence[Ruling | ClaimMark] = (),
        attribution: Attributed | None = None,
    ) -> str:
        """Keep two answers as evidence, before and after edits; returns its id.

        Args:
            case: whose request it is.
            title: one line that says what there is to see.
            request: before the edits.
            edits: from that request to the other.
            note: what the numbers of this case were.
            repeat: which repeat of the request is shown.
            after_repeat: which repeat of the edited one.
            claims: what the answer after the edits asserts; as in `show`.
            attribution: what moved the answer before the edits; as in `show`.
        """
        marks, left_out = marked(claims)
        bars, bars_left_out = charted(attribution)
        return self._keep(
            Evidence(
                case=case,
                title=title,
                before=request.digest,
                after=apply(edits, request).digest,
                after_repeat=self._stored(after_repeat),
                edits=tuple(edits),
                note=_joined(note, left_out, bars_left_out),
                before_repeat=self._stored(repeat),
                claims=marks,
                attribution=bars,
            )
        )

    def by_case(self, values: npt.ArrayLike) -> dict[str, float]:
        """One value per case, by case id."""
        return {case.id: float(v) for case, v in zip(self.context.cases, np.asarray(values), strict=True)}

    def _stored(self, repeat: int) -> int:
        return self.context.gateway.stored_repeat(repeat)

    def _keep(self, evidence: Evidence) -> str:
        self.output.evidence.append(evidence)
        return evidence.id


def marked(claims: Sequence[Ruling | ClaimMark]) -> tuple[tuple[ClaimMark, ...], int]:
    """Claims as evidence keeps them, by their place in the text: bounded, the worst first; and how many found no room.

    Args:
        claims: rulings of the ladder, or marks made elsewhere, such as of titles.
    """
    marks = [_bounded(claim if isinstance(claim, ClaimMark) else _mark(claim)) for claim in claims]
    kept = sorted(marks, key=lambda m: CLAIM_VERDICTS.index(m.verdict))[:MOST_CLAIMS]
    return tuple(sorted(kept, key=lambda m: (m.start, m.end))), len(marks) - len(kept)


def _mark(ruling: Ruling) -> ClaimMark:
    claim = ruling.claim
    said = [ruling.note] if ruling.note else []
    said += ["said as a denial"] if not claim.polarity else []
    said += ["said as a guess"] if claim.hedged else []
    return ClaimMark(
        start=claim.start,
        end=claim.end,
        verdict=ruling.verdict,
        predicate=claim.predicate,
        object=claim.object,
        subject=claim.subject,
        decided_by=ruling.rung or "",
        source=ruling.source,
        evidence=ruling.evidence,
        note="; ".join(said),
    )


def _bounded(mark: ClaimMark) -> ClaimMark:
    return replace(
        mark,
        object=clip(mark.object, _NAME),
        subject=clip(mark.subject, _NAME),
        source=clip(mark.source, _NAME),
        evidence=clip_middle(mark.evidence, _PASSAGE),
        note=clip(mark.note, _NOTE),
    )


def charted(attribution: Attributed | None) -> tuple[Attributed | None, int]:
    """An attribution as evidence keeps it, and how many bars found no room: bounded, the longest first."""
    if attribution is None:
        return None, 0
    by_length = sorted(range(len(attribution.bars)), key=lambda i: -abs(attribution.bars[i].value))
    kept = sorted(by_length[:MOST_BARS])
    bars = tuple(
        replace(bar, label=clip(bar.label, _NAME), note=clip(bar.note, _NOTE))
        for bar in (attribution.bars[i] for i in kept)
    )
    shown = replace(
        attribution,
        bars=bars,
        scale=clip(attribution.scale, _NOTE),
        method=clip(attribution.method, _NOTE),
        badge=clip(attribution.badge, _NOTE),
        limits=clip(attribution.limits, _NOTE),
    )
    return shown, len(attribution.bars) - len(kept)


def _joined(note: str, claims: int, bars: int) -> str:
    """The note, and what found no room."""
    parts = [note] if note else []
    parts += [f"{claims:,} further claims are not kept here"] if claims else []
    parts += [f"{bars:,} shorter bars are not kept here"] if bars else []
    return "; ".join(parts)
