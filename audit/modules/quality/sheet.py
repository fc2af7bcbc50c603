"""What the judges of this module share: where findings go, and what the history does."""

from __future__ import annotations

from dataclasses import dataclass

from audit import stats
from audit.findings import Evidence
from audit.modules.arms import Arm, ablations
from audit.modules.base import Context, Output
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard
from audit.types import Request

_DONE = {
    "history_emptied": "emptied",
    "history_shuffled": "shuffled",
    "history_replaced": "replaced by a stranger's",
}


@dataclass(frozen=True)
class Sheet:
    """Collects what one run of the module finds.

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
        evidence = Evidence(case=case, title=title, before=request.digest, note=note)
        self.output.evidence.append(evidence)
        return evidence.id

    def by_case(self, values: Floats) -> dict[str, float]:
        """One value per case, by case id."""
        return {case.id: float(v) for case, v in zip(self.context.cases, values, strict=True)}

    def ablations(self) -> list[Arm]:
        """The histories taken away; for a target that does not read them, the reason why nothing can be said."""
        arms = ablations(self.context)
        if not arms:
            reason = "the target does not read the history from the request, so it cannot be taken away"
            self.card.skip("history_use", "Does it use the history at all?", reason)
        return arms

    def moved(self, arm: Arm, losses: Floats) -> None:
        """How far the order of each case moved under an ablation, 0 (not at all) to 1."""
        rng = self.context.rng("quality", "moved", arm.id)
        self.card.add(
            "history_effect",
            f"How far the order moves when the history is {done(arm)} (1 − RBO)",
            stats.mean_interval(losses, rng=rng, level=self.card.level, bounds=(0.0, 1.0)),
            n=len(losses),
            direction="neither",
            params={"ablation": arm.id},
            note=f"the order changed for {int((losses > 0).sum())} of {len(losses)} users",
            values=self.by_case(losses),
        )


def done(arm: Arm) -> str:
    """What an ablation did to the history, as the end of a sentence."""
    return _DONE[arm.id]
