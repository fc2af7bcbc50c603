"""The quality module: which cases it asks, and which judge reads the answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audit.gateway import Ask
from audit.modules.arms import ablations, plan
from audit.modules.base import Context, ModuleInfo, Output
from audit.modules.free_text import free_text
from audit.modules.quality import latency, ranking, scoring, validity
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
        "history_change_rate",
        "slow_rate",
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
        slow_s: seconds beyond which an answer is late. Ten are about the longest that people keep their mind on a
            dialogue (Nielsen 1993, Usability Engineering, chapter 5); a promise to users is a better number.
        examples: pieces of evidence kept per finding.
    """

    answers: int = 40
    slow_s: float = 10.0
    examples: int = 5

    def __post_init__(self) -> None:
        for name in ("answers", "examples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 0")
        if isinstance(self.slow_s, bool) or not isinstance(self.slow_s, int | float) or not 0 < self.slow_s < math.inf:
            raise ValueError(f"slow_s: {self.slow_s!r} must be a number of seconds above 0; the default is 10")

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
        latency.judge(sheet, context.cases, clean, context.task, self.slow_s)
        if free := self._free_text(context):
            answers = context.ask([c.request for c in free], label="Free text")
            validity.judge(sheet, free, answers, "answer")
            latency.judge(sheet, free, answers, "answer", self.slow_s)
        sheet.output.findings, sheet.output.values = sheet.card.corrected(), sheet.card.values
        return sheet.output

    def _free_text(self, context: Context) -> Sequence[Case]:
        """Free text is judged beside rankings and scores; where it is what the run asks for, it is judged as such."""
        return [] if context.task == "answer" else free_text(context, self.answers)
