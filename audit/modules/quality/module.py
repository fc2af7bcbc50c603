"""The quality module: which cases it asks, and which judge reads the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.gateway import Ask
from audit.modules.arms import ablations, plan
from audit.modules.base import Context, ModuleInfo, Output
from audit.modules.free_text import free_text
from audit.modules.quality import ranking, scoring, validity
from audit.modules.quality.sheet import QualitySheet
from audit.modules.report_card import ReportCard
from audit.types import Case

INFO = ModuleInfo(
    id="quality",
    title="Quality",
    question="Is it any good, does it beat trivial anchors, and does it use the history at all?",
    metrics=(
        "hr",
        "ndcg",
        "mrr",
        "auc",
        "uauc",
        "calibration_error",
        "lift_over_anchor",
        "history_use",
        "history_effect",
        *(share.metric for share in validity.SHARES),
    ),
    tasks=("rank", "score", "answer"),
    controls=("eu-ai-act:2024:art15", "nist-ai-rmf:1.0:MEASURE-2.5"),
)


@dataclass(frozen=True)
class Quality:
    """The module.

    Attributes:
        answers: how many cases are also asked for free text, for targets that write it.
        examples: pieces of evidence kept per finding.
    """

    answers: int = 40
    examples: int = 5

    def __post_init__(self) -> None:
        for name in ("answers", "examples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 0")

    @property
    def info(self) -> ModuleInfo:
        """The declaration."""
        return INFO

    def plan(self, context: Context) -> list[Ask]:
        """Clean requests, the ablated histories, and the free-text requests."""
        arms = ablations(context) if context.task != "answer" else []
        return [*plan(arms, context), *(Ask(c.request) for c in self._free_text(context))]

    def run(self, context: Context) -> Output:
        """Ask and conclude."""
        sheet = QualitySheet(context, ReportCard(INFO.id, context.level, INFO.controls), Output(), self.examples)
        context.gateway.fetch(self.plan(context), label=INFO.title)
        clean = context.ask(context.requests, label="Clean requests")
        if context.task == "rank":
            ranking.judge(sheet, clean)
        elif context.task == "score":
            scoring.judge(sheet, clean)
        if context.task != "score":
            validity.judge(sheet, context.cases, clean, context.task)
        if free := self._free_text(context):
            answers = context.ask([c.request for c in free], label="Free text")
            validity.judge(sheet, free, answers, "answer")
        sheet.output.findings, sheet.output.values = sheet.card.corrected(), sheet.card.values
        return sheet.output

    def _free_text(self, context: Context) -> Sequence[Case]:
        """Free text is judged beside rankings and scores; where it is what the run asks for, it is judged as such."""
        return [] if context.task == "answer" else free_text(context, self.answers)
