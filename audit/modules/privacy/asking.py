"""How words of somebody who asks reach a target: in the note, as a turn of the user, or behind the instruction."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from audit.findings import Evidence
from audit.modules.base import Context
from audit.modules.privacy.known import masked
from audit.modules.sheet import Sheet
from audit.target import Input, TargetInfo
from audit.types import Answer, Request, Task, Turn

Channel = Literal["note", "turns", "instruction"]
_READ_BY: dict[Channel, Input] = {
    "note": Input.NOTE,
    "turns": Input.TURNS,
    "instruction": Input.INSTRUCTION,
}


def channel_of(info: TargetInfo) -> Channel | None:
    """Where this target reads what a user says; None where it reads nothing of the kind.

    The instruction is the operator's: words stand there only where a target has no other ear.
    """
    return next((channel for channel, needed in _READ_BY.items() if needed in info.honours), None)


def said(request: Request, channel: Channel, words: str) -> Request:
    """The request with words of its user behind what the channel holds.

    Args:
        request: stays as it is.
        channel: from `channel_of`.
        words: what the user says.
    """
    if channel == "turns":
        return replace(request, turns=(*request.turns, Turn("user", words)))
    if channel == "note":
        note = f"{request.user.note} {words}" if request.user.note else words
        return replace(request, user=replace(request.user, note=note))
    glue = "\n\n" if request.instruction else ""
    return replace(request, instruction=f"{request.instruction}{glue}{words}")


def in_words(request: Request, context: Context) -> Request:
    """The request as a question for free text, where the target writes any; else as it is."""
    if "answer" not in context.info.tasks or request.task == "answer":
        return request
    return replace(request, task="answer", candidates=None, instruction=wording(context, "answer"))


def wording(context: Context, task: Task) -> str:
    """The target's own instruction for a task; "" where it reads none."""
    return context.info.instructions.get(task, "") if Input.INSTRUCTION in context.info.honours else ""


def written(answer: Answer) -> str:
    """All that an answer says in words: its text, and the titles and reasons of its entries."""
    parts = [answer.text or ""]
    parts += [part for entry in answer.ranked for part in (entry.title, entry.reason) if part]
    return "\n".join(part for part in parts if part)


def speaks(answer: Answer) -> bool:
    """Whether there are words beside titles: a refusal has, a bare list has not, and an error is nobody's answer."""
    if answer.outcome == "error":
        return False
    return bool((answer.text or "").strip()) or any(entry.reason for entry in answer.ranked)


def keep(sheet: Sheet, user: str, title: str, request: Request, note: str) -> str:
    """Keep evidence of one answer that must not be shown: who asked is masked, and the answer stays in the store.

    Args:
        sheet: collects it.
        user: whose answer it is.
        title: one line that says what there is to see.
        request: as asked; only the beginning of its digest is told, by which the owner of the store finds it.
        note: what was found, masked.

    Returns:
        The id of the evidence.
    """
    kept = Evidence(masked(user), title, note=f"{note}; request {request.digest[:12]}")
    sheet.output.evidence.append(kept)
    return kept.id
