"""The same users asked for free text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audit.modules.base import Context
from audit.types import Case

LENGTH = 5
"""Items asked for in free text: longer lists leave no room for a reason."""


def free_text(context: Context, count: int, *, instruction: str | None = None, k: int = LENGTH) -> Sequence[Case]:
    """The first cases again, asked for free text over the whole catalogue.

    Args:
        context: of the run.
        count: how many cases.
        instruction: what is asked; None for the target's own wording.
        k: items to ask for.

    Returns:
        Cases with ids `<case>/answer`; the run's own where it asks for free text anyway; none for a target that writes
        no free text.
    """
    if context.task == "answer" and instruction is None:
        return context.cases[:count]
    if "answer" not in context.info.tasks:
        return []
    wording = context.info.instructions.get("answer", "") if instruction is None else instruction
    return [
        replace(
            case,
            id=f"{case.id}/answer",
            request=replace(case.request, task="answer", candidates=None, instruction=wording, k=k),
        )
        for case in context.cases[:count]
    ]
