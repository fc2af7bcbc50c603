"""One arm against the clean answers: its findings, with the cases that a person should open."""

from __future__ import annotations

from collections.abc import Sequence

from audit.edits import apply
from audit.findings import Evidence
from audit.modules.base import Output
from audit.modules.report_card import ReportCard
from audit.modules.robustness import ranking, scoring
from audit.modules.robustness.comparison import Compared, Comparison, losses
from audit.modules.robustness.panel import Panel
from audit.stats import Look


def judge(
    comparison: Comparison,
    arm: Compared,
    floor: Compared | None,
    card: ReportCard,
    output: Output,
    *,
    examples: int,
    look: Look | None = None,
) -> Panel:
    """Report what an arm did.

    Args:
        comparison: the clean side.
        arm: the edited side.
        floor: the benign control whose change is the noise floor; None when the arm is itself a benign control.
        card: collects the findings.
        output: collects the evidence: the cases that lost most, and those that became unreadable.
        examples: most pieces of each kind.
        look: which look at the data this is; None when the cases are looked at once.

    Returns:
        Where the findings went, for more of the same arm.
    """
    lost = losses(comparison, [arm.answers])
    worst = sorted((i for i, loss in enumerate(lost) if loss > 0), key=lambda i: (-lost[i], i))
    panel = Panel(
        comparison,
        arm,
        floor,
        card,
        evidence=_shown(comparison, arm, (worst if floor is not None else [])[:examples], output),
        unreadable=_shown(comparison, arm, comparison.unreadable(arm)[:examples], output),
        look=look,
    )
    (ranking if comparison.context.task == "rank" else scoring).compare(panel)
    return panel


def _shown(comparison: Comparison, arm: Compared, cases: Sequence[int], output: Output) -> list[str]:
    shown = []
    for i in cases:
        case, edits = comparison.context.cases[i], arm.arm.edits[i]
        evidence = Evidence(
            case=case.id,
            title=arm.arm.title,
            before=case.request.digest,
            after=apply(edits, case.request).digest,
            after_repeat=arm.arm.repeat,
            edits=edits,
            note=comparison.describe(i, arm),
        )
        output.evidence.append(evidence)
        shown.append(evidence.id)
    return shown
