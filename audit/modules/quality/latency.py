"""Do answers come in time? Every answer says how long it took, or the door that asked for it does."""

from __future__ import annotations

from collections.abc import Sequence

from audit import stats
from audit.modules.quality.sheet import QualitySheet
from audit.types import Answer, Case, Task

TITLE = "Answers that took longer than {limit:g} s"


def judge(sheet: QualitySheet, cases: Sequence[Case], answers: Sequence[Answer], task: Task, limit: float) -> None:
    """Report the share of answers that came late.

    An answer that failed is no answer that came: it is counted as an error, whatever it took. Nothing here is measured
    anew: an answer that was kept from an earlier run took what it took then, so a resumed run finds the same.

    Args:
        sheet: collects the finding.
        cases: one per user.
        answers: to them, in their order.
        task: that was asked.
        limit: seconds beyond which an answer is late.
    """
    title = TITLE.format(limit=limit)
    came = [i for i, answer in enumerate(answers) if answer.outcome != "error" and answer.usage.seconds > 0]
    if not came:
        sheet.card.skip("slow_rate", title, "no answer came that says how long it took", task=task, limit_s=limit)
        return
    late = sorted((i for i in came if answers[i].usage.seconds > limit), key=lambda i: (-answers[i].usage.seconds, i))
    unknown = len(answers) - len(came)
    sheet.card.add(
        "slow_rate",
        title,
        stats.wilson(len(late), len(came), sheet.card.level),
        n=len(came),
        direction="higher_is_worse",
        params={"task": task, "limit_s": limit},
        note=f"{len(late)} of {len(came)} answers; those of one batch share its time evenly"
        + (f"; {unknown} more failed, or do not say how long they took" if unknown else ""),
        evidence=[
            sheet.show(cases[i].id, title, cases[i].request, f"{answers[i].usage.seconds:.1f} s")
            for i in late[: sheet.examples]
        ],
        values={cases[i].id: float(answers[i].usage.seconds > limit) for i in came},
    )
