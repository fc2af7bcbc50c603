"""Whether the reasons that a target gives in its own words are what moves its recommendation.

A fluent reason is no attribution: every item it names is taken away, and so is every item that it does not name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.explanation.module import INFO
from audit.modules.explanation.players import (
    NO_SWAP,
    OPERATORS,
    Operator,
    Player,
    Swap,
    check_items,
    kept,
    players,
    swaps_for,
)
from audit.modules.explanation.stated_findings import Told, report
from audit.modules.explanation.stated_reading import Reader
from audit.modules.free_text import free_text
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.target import Input
from audit.types import Case, Request

REASONS = "For each, say in one sentence why, and name the items of my history that it follows from."
"""Said behind the target's own wording, where it reads an instruction."""


@dataclass(frozen=True)
class Stated:
    """Every user is asked for free text with reasons, and again without one item of the history at a time.

    Attributes:
        users: how many users are asked.
        operator: how an item is taken away.
        evaluations: the most items that are taken away per answer: those named as reasons first, then others by chance.
        items: the same, where it is less; None for no other bound.
        repeats: how often the whole question is asked: an answer whose first recommendation is not the same each time
            is not explained.
        reasons: what is asked for behind the target's own wording; "" for that wording alone.
    """

    users: int = 20
    operator: Operator = "delete"
    evaluations: int = 256
    items: int | None = None
    repeats: int = 2
    reasons: str = REASONS

    def __post_init__(self) -> None:
        for name, least in (("users", 2), ("evaluations", 2), ("repeats", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")
        check_items(self.items, 2)
        if self.operator not in OPERATORS:
            raise ValueError(f"operator: {self.operator!r} must be one of {', '.join(OPERATORS)}")
        if not isinstance(self.reasons, str):
            raise ValueError(f"reasons: {self.reasons!r} must be a sentence, or '' for the target's own wording")

    @property
    def _most(self) -> int:
        return self.evaluations if self.items is None else min(self.evaluations, self.items)

    def lacking(self, context: Context) -> str | None:
        """The target must write free text."""
        if not free_text(context, self.users):
            return "the target writes no free text"
        if Input.HISTORY not in context.info.honours:
            return "the target does not read the history, so that no item of it can be taken away"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every question with its repeats, and as many without an item as may be asked."""
        asks = []
        for case in self._cases(context):
            theirs, swaps = self._players(context, case)
            asks += [Ask(case.request, repeat) for repeat in range(self.repeats)]
            if swaps is None:
                continue
            chosen = range(len(theirs))[-self._most :]
            asks += [Ask(self._without(case.request, theirs, swaps, i)) for i in chosen]
        return asks

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask, read, take away, and compare."""
        cases, reader = self._cases(context), Reader(context.dataset.catalog)
        asks = [Ask(case.request, repeat) for case in cases for repeat in range(self.repeats)]
        answers = iter(context.gateway.ask(asks, label="own words"))
        read = [[reader.read(next(answers), c.request, c.request) for _ in range(self.repeats)] for c in cases]
        told = [Told(case, own[0], len({one.first for one in own}) == 1) for case, own in zip(cases, read, strict=True)]
        self._take_away(context, reader, [one for one in told if one.explained])
        card = ReportCard(INFO.id, context.level, INFO.controls)
        sheet = Sheet(context, card, Output(), examples)
        report(sheet, self.operator, told)
        card.findings = card.corrected()
        return Output(card.findings, sheet.output.evidence, card.values)

    def _take_away(self, context: Context, reader: Reader, told: Sequence[Told]) -> None:
        wanted: list[tuple[Told, int, Request]] = []
        for one in told:
            theirs, swaps = self._players(context, one.case)
            if swaps is None:
                one.unmet = NO_SWAP
                continue
            one.players = theirs
            for i in self._chosen(context, one):
                wanted.append((one, i, self._without(one.case.request, theirs, swaps, i)))
        answers = context.gateway.ask([Ask(request) for _, _, request in wanted], label="own words, an item less")
        for (one, i, request), answer in zip(wanted, answers, strict=True):
            one.without[i] = reader.read(answer, request, one.case.request)

    def _chosen(self, context: Context, one: Told) -> list[int]:
        """All items, or where they are too many those named as reasons and some of the others."""
        everyone = range(len(one.players))
        if len(everyone) <= self._most:
            return list(everyone)
        named = [i for i in everyone if one.names(i)][: self._most - 1]
        others = [i for i in everyone if i not in set(named)]
        rng = context.rng("explanation", "stated", one.case.id)
        drawn = rng.permutation(np.array(others))[: self._most - len(named)]
        return sorted([*named, *(int(i) for i in drawn)])

    def _players(self, context: Context, case: Case) -> tuple[tuple[Player, ...], Mapping[str, Swap] | None]:
        theirs = players(case.request)
        if self.operator != "swap" or not theirs:
            return theirs, {}
        rng = context.rng("explanation", "swap", case.id)
        return theirs, swaps_for(case.request, theirs, context.dataset, rng)

    def _without(self, request: Request, theirs: Sequence[Player], swaps: Mapping[str, Swap], i: int) -> Request:
        return kept(request, theirs, frozenset(range(len(theirs))) - {i}, self.operator, swaps)

    def _cases(self, context: Context) -> list[Case]:
        own = list(free_text(context, self.users))
        if not self.reasons or Input.INSTRUCTION not in context.info.honours:
            return own
        asked = [f"{case.request.instruction} {self.reasons}".strip() for case in own]
        return [replace(c, request=replace(c.request, instruction=text)) for c, text in zip(own, asked, strict=True)]
