"""Targets that write free text with flaws of exactly known size, and their clean twins."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from helpers import Scripted
from part_world import a_context, small_world

from audit.modules.base import Context
from audit.modules.hallucination.claim_outcomes import ClaimReader
from audit.modules.hallucination.claim_trust import Trust
from audit.modules.hallucination.claims import Claims
from audit.modules.hallucination.module import INFO
from audit.target import Input
from audit.types import Answer, Item, Request

ITEMS = small_world().catalog.items_in_order
REFUSAL = "I'm sorry, but I can't help with that."


def bare(item: Item) -> str:
    """The title without its year."""
    return re.sub(r" \(\d{4}\)$", "", item.title)


def year(item: Item) -> int:
    return int(item.attributes["year"])  # type: ignore[arg-type]


def picked(asked: Request, count: int = 5) -> list[Item]:
    """Items that this user has not had, other ones for every user."""
    had = {event.item.id for event in asked.user.history}
    start = int(asked.user.id) * 7
    return [item for n in range(len(ITEMS)) if (item := ITEMS[(start + 11 * n) % len(ITEMS)]).id not in had][:count]


def written(lines: Sequence[str]) -> str:
    return "\n".join(f"{n}. {line}" for n, line in enumerate(lines, start=1))


def says(text: Callable[[Request], str | Answer], **info: Any) -> Scripted:
    """A target that writes what a function says."""

    def answer(asked: Request) -> Answer:
        said = text(asked)
        return said if isinstance(said, Answer) else Answer(text=said)

    honours = {Input.HISTORY, Input.ITEM_TEXT, Input.PASSAGES}
    return Scripted(answer, tasks=("rank", "answer"), honours=frozenset(honours), **info)


def false_years(false: Callable[[Request], Sequence[bool]], said: str = "It came out in {year}.") -> Scripted:
    """One claim per item, its year; which are twenty years off a function says, by user."""

    def text(asked: Request) -> str:
        rows = zip(picked(asked), false(asked), strict=False)
        return written([f"{bare(i)} - {said.format(year=year(i) + (20 if wrong else 0))}" for i, wrong in rows])

    return says(text)


def history_reasons(invented: Callable[[Request], bool]) -> Scripted:
    """One recommendation with a reason from the user's history, or from what others had."""

    def text(asked: Request) -> str:
        strange = picked(asked, 2)
        seen = strange[1] if invented(asked) else asked.user.history[0].item
        return f'Since you liked "{bare(seen)}", you should try "{bare(strange[0])}".'

    return says(text)


def with_passages(context: Context, passages: Callable[[Request], Sequence[Any]]) -> Context:
    """The same cases, each with passages."""
    cases = [replace(c, request=replace(c.request, passages=tuple(passages(c.request)))) for c in context.cases]
    return replace(context, cases=cases)


PART = Claims(answers=30, corrected=False)


def run(target, folder, part=PART, *, trust=None, passages=None):
    """The part on a target, in a small world; of the checker's own audit only what is given."""
    context = a_context(target, folder)
    if passages is not None:
        context = with_passages(context, passages)
    assert part.lacking(context) is None
    reader = ClaimReader.build(context, part.knowledge, part.rungs)
    output = part.conclude(context, reader, trust or Trust(), examples=2)
    assert {f.metric for f in output.findings} <= set(INFO.metrics)
    assert len({f.id for f in output.findings}) == len(output.findings)
    return output


def pick(output, metric, **params):
    """The one finding of this metric and these params."""
    [found] = [f for f in output.findings if f.metric == metric and dict(f.params) == {"part": "claims", **params}]
    return found


def user_of(case):
    return int(case.removeprefix("u").partition("/")[0])


def one_in_five(asked):
    """One of five claims, another one for every user."""
    return [int(asked.user.id) % 5 == n for n in range(5)]
