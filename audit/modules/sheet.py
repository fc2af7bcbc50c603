"""Where a module's judges put what they find, and the evidence for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit.edits import Edit, apply
from audit.findings import Evidence
from audit.modules.base import Context, Output
from audit.modules.report_card import ReportCard
from audit.types import Request


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

    def show(self, case: str, title: str, request: Request, note: str) -> str:
        """Keep a request and its answer as evidence; returns its id."""
        return self._keep(
            Evidence(case=case, title=title, before=request.digest, note=note, before_repeat=self._stored(0))
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
        """
        return self._keep(
            Evidence(
                case=case,
                title=title,
                before=request.digest,
                after=apply(edits, request).digest,
                after_repeat=self._stored(after_repeat),
                edits=tuple(edits),
                note=note,
                before_repeat=self._stored(repeat),
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
