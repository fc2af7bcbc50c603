"""The checker, audited first: what it makes of answers whose truth is known. Nothing is asked of the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.claims.injected import generate
from audit.claims.scoring import CheckerAudit
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.hallucination import rungs
from audit.modules.hallucination.module import INFO
from audit.modules.report_card import ReportCard

MADE_UP = ("merged-title", "sequel", "subtitle")
HARMLESS = ("typo", "alias", "year-1")
"""Changes that are no error and must pass."""

_CAUGHT = "Planted errors of this kind that the checker finds"
_PASSED = "Planted changes of this kind, which are no error, that the checker lets pass"
_EASY = "planted errors are easier to find than natural ones, and no person has labelled natural answers"


@dataclass(frozen=True)
class Checker:
    """Answers are made from rows of the catalogue, half of them with one planted error, and read by the checker.

    Attributes:
        planted: how many answers; half of them are clean.
        knowledge: as the module's option: `complete` names the columns that list all there is.
        rungs: as the module's option; the ladder that is audited is the one that rules on the target's claims.
        noun: what an item is, as the planted sentences call it.
    """

    planted: int = 600
    knowledge: Mapping[str, Any] | None = None
    rungs: Mapping[str, Any] | None = None
    noun: str = "film"

    def __post_init__(self) -> None:
        if isinstance(self.planted, bool) or not isinstance(self.planted, int) or self.planted < 2 or self.planted % 2:
            raise ValueError(f"planted: {self.planted!r} must be an even number of at least 2")
        if not isinstance(self.noun, str) or not self.noun.strip() or set("{}") & set(self.noun):
            raise ValueError(f"noun: {self.noun!r} must be a word for an item, such as film or book")
        rungs.check(self.rungs)

    def lacking(self, context: Context) -> str | None:
        """The catalogue must have rows to make answers of."""
        try:
            generate(context.dataset.catalog, seed=context.seed, size=2)
        except ValueError as error:
            return str(error).removeprefix("catalog: ")
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Nothing is asked."""
        return []

    def run(self, context: Context, *, examples: int) -> Output:
        """Make the answers, read them, and compare."""
        return conclude(context, self.audit(context), examples=examples)

    def audit(self, context: Context) -> CheckerAudit:
        """What the checker makes of them."""
        return audited(context, self.knowledge, self.rungs, planted=self.planted, noun=self.noun)


def conclude(context: Context, audit: CheckerAudit, *, examples: int) -> Output:
    """The findings of a checker that was audited."""
    card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
    desk = _Desk(context, audit, card, output, examples)
    desk.claims()
    desk.kinds()
    desk.matrix()
    desk.extraction()
    desk.alarms()
    desk.existence()
    output.findings, output.values = card.findings, card.values
    return output
