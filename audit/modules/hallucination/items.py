"""Whether recommended items exist and may be had, and whether the answer keeps to what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from audit.errors import ConfigError
from audit.gateway import Ask
from audit.grounding import Grounder, Matcher
from audit.modules.base import Context, Output
from audit.modules.free_text import free_text
from audit.modules.hallucination import constraint_findings, item_findings, knowledge, rungs
from audit.modules.hallucination import constraints as wishes
from audit.modules.hallucination.constraints import Stated
from audit.modules.hallucination.eligibility import Rule, read_rules
from audit.modules.hallucination.item_outcomes import item_outcomes
from audit.modules.hallucination.item_rates import Rates
from audit.modules.hallucination.module import INFO
from audit.modules.hallucination.reference import read_reference
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.stats import CheckerSample
from audit.types import Case, Task


@dataclass(frozen=True)
class Items:
    """The titles of the run's own rankings and of free text, looked up one by one.

    Attributes:
        answers: how many cases are asked for free text.
        instruction: what they are asked; None for the target's own wording.
        reference: file of titles of a wider world (one a line, or a CSV or Parquet file with a column `title`), which
            tell what is not sold here from what does not exist; None for no such distinction.
        eligible: by column of the catalogue, what must hold for an item to be had; see `eligibility`.
        constraints: how many cases of each task are asked again with a constraint of their own; 0 for none.
        cutoffs: lengths k of OOD@k, the share of made-up titles among the first k.
        corrected: whether the checker is audited for this part too, so that the rate of made-up titles can be corrected
            for its errors, and is not concluded from where the checker does not meet its gates.
        knowledge: as the module's option; the checker that is audited is the one of the module.
        rungs: as the module's option; see `knowledge`.
    """

    answers: int = 100
    instruction: str | None = None
    reference: str | None = None
    eligible: Mapping[str, Any] | None = None
    constraints: int = 30
    cutoffs: tuple[int, ...] = (5, 10)
    corrected: bool = True
    knowledge: Mapping[str, Any] | None = None
    rungs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name, least in (("answers", 1), ("constraints", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")
        if self.reference is not None and not isinstance(self.reference, str | Path):
            raise ValueError(f"reference: {self.reference!r} must be the path of a file of titles")
        if not isinstance(self.cutoffs, list | tuple) or any(
            isinstance(k, bool) or not isinstance(k, int) or k < 1 for k in self.cutoffs
        ):
            raise ValueError(f"cutoffs: {self.cutoffs!r} must be a list of whole numbers of at least 1")
        if not isinstance(self.corrected, bool):
            raise ValueError(f"corrected: {self.corrected!r} must be true or false")
        knowledge.check(self.knowledge)
        rungs.check(self.rungs)
        _ = self._rules

    def lacking(self, context: Context) -> str | None:
        """The target must rank or write free text."""
        if not self._asked(context):
            return "the target is asked for no list here and writes no free text"
        # A file that cannot be read is said before anything is asked.
        _ = self._reference
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every case, and again with its constraint."""
        if self.corrected:
            knowledge.complete(self.knowledge, context.dataset.catalog)  # a mistake is found before anything is asked
        asks = []
        for task, cases in self._asked(context).items():
            asks += [Ask(case.request) for case in cases]
            asks += [Ask(stated.request) for stated in self._stated(context, task, cases)[0]]
        return asks

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and look up."""
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        sheet = Sheet(context, card, output, examples)
        grounder = Grounder(context.dataset.catalog)
        unmet, checker = self._trust(context)
        for task, cases in self._asked(context).items():
            answers = context.ask([case.request for case in cases], label=f"items: {task}")
            outcomes = item_outcomes(cases, answers, grounder, reference=self._reference)
            rates = Rates(sheet, task, cases, outcomes)
            item_findings.existence(
                rates, self.cutoffs, wider=self._reference is not None, unmet=unmet, checker=checker
            )
            item_findings.repeats(rates)
            item_findings.lengths(rates)
            item_findings.eligibility(rates, self._rules)
            stated, reason = self._stated(context, task, cases)
            if self.constraints:
                again = context.ask([one.request for one in stated], label=f"items: {task} with constraints")
                # Read with the constrained request: a count is held against the k that was asked for.
                constrained = item_outcomes([one.case for one in stated], again, grounder)
                constraint_findings.constraints(rates, stated, constrained, reason)
        return Output(card.findings, output.evidence, card.values)

    def _trust(self, context: Context) -> tuple[tuple[str, ...], CheckerSample | None]:
        """Why its figures on titles should not be concluded from, and what the checker did on titles of known truth."""
        if not self.corrected:
            return (), None
        from audit.modules.hallucination import checker, gates

        part = checker.Checker(knowledge=self.knowledge, rungs=self.rungs)
        if lacking := part.lacking(context):
            return (f"the checker could not be audited: {lacking}",), None
        audit = part.audit(context)
        return gates.title_gate(audit), gates.title_sample(audit, "decided")

    def _asked(self, context: Context) -> dict[Task, Sequence[Case]]:
        """The cases by task, for the tasks that this target is asked."""
        asked: dict[Task, Sequence[Case]] = {}
        if context.task == "rank":
            asked["rank"] = context.cases
        if written := free_text(context, self.answers, instruction=self.instruction):
            asked["answer"] = written
        return asked

    def _stated(self, context: Context, task: Task, cases: Sequence[Case]) -> tuple[list[Stated], str]:
        """Cases with a constraint, and why there are none."""
        field = wishes.channel(context.info.honours)
        if field is None:
            return [], "the target reads neither a note nor an instruction, so no constraint can be stated"
        facts, stated = wishes.Facts(context.dataset.catalog), []
        for number, case in enumerate(cases[: self.constraints]):
            had = {event.item.id for event in case.request.user.history}
            offered = case.request.candidates
            pool = [i for i in offered or context.dataset.catalog.items_in_order if i.id not in had]
            rng = context.rng("hallucination", "constraint", case.id)
            if (one := wishes.state(case, number, facts, pool, field, rng)) is not None:
                stated.append(one)
        return stated, "no column of the catalogue gives a constraint that enough items keep and some break"

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return read_rules(self.eligible)

    @cached_property
    def _reference(self) -> Matcher | None:
        if self.reference is None:
            return None
        try:
            return read_reference(Path(self.reference))
        except (OSError, ValueError) as error:
            raise ConfigError(f"modules.hallucination.items.reference: {error}") from error
