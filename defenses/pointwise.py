"""Pointwise isolation: every candidate is asked about alone, so that none can speak about the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from audit.defense import Defended, DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Input, Recommender, TargetInfo, describe
from audit.types import Answer, Item, Ranked, Request, Usage

_ORDINARY = 20
"""Candidates of a request of ordinary size."""


class Pointwise:
    """Ranks by asking for the score of each candidate in a request of its own.

    The text of one candidate never stands beside that of another: it can praise itself, and neither move the others nor
    end the list. The target must do the task `score`. Its own wording for that task is used; an instruction that was
    written for a list says nothing about one item.
    """

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="pointwise",
            title="Pointwise isolation",
            why="What a seller writes about one item cannot reach the others, wherever the prompt puts it.",
            reference="Isolation as in isolate-then-aggregate, Xiang et al. 2024 (arXiv 2405.15556); pointwise "
            "scoring of candidates as in TALLRec, RecSys 2023",
            family="output",
            guards=frozenset({Zone.SELLER}),
            calls=float(_ORDINARY),
            needs=frozenset({Input.ITEM_TEXT}),
            tasks=("rank", "score"),
            limits="Text that lifts its own item's score; text in the history, the note and passages, which every "
            "prompt holds; and scores of separate prompts that do not compare.",
        )

    def protect(self, target: Recommender) -> Isolated:
        """The target, asked about one candidate at a time.

        Raises:
            ConfigError: it gives no scores.
        """
        if "score" not in describe(target).tasks:
            raise ConfigError("defenses.pointwise: this target does not do the task 'score', which asks about one item")
        return Isolated(target, self.info, {})


class Isolated(Defended):
    """A target that sees one candidate at a time."""

    @cached_property
    def info(self) -> TargetInfo:
        """The target's declaration; it ranks candidates now, however many there are."""
        inner = super().info
        tasks = inner.tasks if "rank" in inner.tasks else (*inner.tasks, "rank")
        return replace(inner, tasks=tasks, needs_candidates=True, max_candidates=None)

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Ask about every candidate alone, and put the answers together."""
        alone = [
            (self._about(request, item), draw)
            for request, draw in zip(requests, draws, strict=True)
            for item in self._items(request)
        ]
        told = iter(self.ask([r for r, _ in alone], [d for _, d in alone]))
        # Other tasks, and rankings without candidates, are asked as they are.
        return [
            self._together(request, [next(told) for _ in self._items(request)], draw)
            for request, draw in zip(requests, draws, strict=True)
        ]

    def _items(self, request: Request) -> tuple[Item, ...]:
        return (request.candidates or ()) if request.task in {"rank", "score"} else ()

    def _about(self, request: Request, item: Item) -> Request:
        wording = request.instruction
        if request.task == "rank":
            wording = describe(self.target).instructions.get("score", "")
        return replace(request, task="score", instruction=wording, candidates=(item,), k=1)

    def _together(self, request: Request, answers: Sequence[Answer], draw: int) -> Answer:
        if not answers:
            return self.ask([request], [draw])[0]
        usage = sum((a.usage for a in answers), Usage())
        failed = [a for a in answers if a.outcome != "ok" or not a.ranked]
        entries = [a.ranked[0] for a in answers if a.outcome == "ok" and a.ranked]
        if failed and (request.task == "score" or not entries):
            # Of a score there is one for every candidate or none.
            worst = failed[0]
            outcome = worst.outcome if worst.outcome != "ok" else "unparsable"
            detail = f"{len(failed)} of {len(answers)} candidates got no score: {worst.detail or outcome}"
            return Answer(outcome=outcome, detail=detail, usage=usage)
        if request.task == "score":
            return Answer(tuple(entries), usage=usage)
        order = sorted(range(len(entries)), key=lambda i: -_score(entries[i]))
        detail = f"{len(failed)} of {len(answers)} candidates got no score and are not listed" if failed else ""
        return Answer(tuple(entries[i] for i in order)[: request.k], usage=usage, detail=detail)


def _score(entry: Ranked) -> float:
    return entry.score if entry.score is not None else float("-inf")
