"""The checker, audited first: what it makes of answers whose truth is known. Nothing is asked of the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from audit.claims.benchmark.injected import generate
from audit.claims.benchmark.scoring import CheckerAudit, run_checker
from audit.claims.extraction.extract import extract
from audit.claims.verification.conflicts import conflicts
from audit.claims.verification.ladder import Ladder
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.hallucination import knowledge as knowledge_option
from audit.modules.hallucination import rungs as rungs_option
from audit.modules.hallucination.checker_findings import conclude
from audit.types import canonical_json

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

PLANTED = 1200
"""Answers by default: some forty of each kind of error, and six thousand claims."""


@dataclass(frozen=True)
class Checker:
    """Answers are made from rows of the catalogue, half of them with one planted error, and read by the checker.

    Attributes:
        planted: how many answers; half of them are clean.
        knowledge: as the module's option: `complete` names the columns that list all there is. Of the user's documents
            only the tables with item ids count here, for nobody knows what a text says of the planted claims.
        rungs: as the module's option; the ladder that is audited is the one that rules on the target's claims.
        noun: what an item is, as the planted sentences call it.
    """

    planted: int = PLANTED
    knowledge: Mapping[str, Any] | None = None
    rungs: Mapping[str, Any] | None = None
    noun: str = "film"

    def __post_init__(self) -> None:
        if isinstance(self.planted, bool) or not isinstance(self.planted, int) or self.planted < 2 or self.planted % 2:
            raise ValueError(f"planted: {self.planted!r} must be an even number of at least 2")
        if not isinstance(self.noun, str) or not self.noun.strip() or set("{}") & set(self.noun):
            raise ValueError(f"noun: {self.noun!r} must be a word for an item, such as film or book")
        knowledge_option.check(self.knowledge)
        rungs_option.check(self.rungs)

    def lacking(self, context: Context) -> str | None:
        """The catalogue must have rows to make answers of."""
        try:
            catalog = knowledge_option.facts(self.knowledge, context.dataset.catalog).catalog
            generate(catalog, seed=context.seed, size=2)
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


def audited(
    context: Context,
    knowledge: Mapping[str, Any] | None = None,
    rungs: Mapping[str, Any] | None = None,
    *,
    planted: int = PLANTED,
    noun: str = "film",
) -> CheckerAudit:
    """Audit the checker that these options describe, once per data set: parts, and mitigations, share the result.

    Args:
        context: of the run; of its target only the name is used, for a judge must not judge itself unsaid.
        knowledge: as the module's option.
        rungs: as the module's option.
        planted: how many answers.
        noun: what an item is, as the planted sentences call it.

    Raises:
        ValueError: the catalogue has too few rows to make answers of (`Checker.lacking`).
        ConfigError: an option cannot be used.
    """
    catalog = knowledge_option.facts(knowledge, context.dataset.catalog).catalog
    complete = knowledge_option.complete(knowledge, catalog)
    judged_by = context.info.name if rungs and rungs.get("judge") is not None else ""
    options = [repr(rungs or {}), repr(knowledge or {}), catalog.digest]
    key = canonical_json([context.seed, planted, noun, sorted(complete), *options, judged_by])
    shelf = _audits.setdefault(context.dataset, {})
    if key not in shelf:
        strict = bool((knowledge or {}).get("strict_years", False))
        benchmark = generate(
            catalog, seed=context.seed, size=planted, complete=complete, noun=noun, strict_years=strict
        )
        further = rungs_option.build(rungs, context.dataset, context.info)
        ladder = Ladder([knowledge_option.structured(knowledge), *further])
        reads = partial(extract, columns=knowledge_option.columns(knowledge))
        shelf[key] = run_checker(benchmark, reads, ladder, conflicts=conflicts)
    return shelf[key]


_audits: WeakKeyDictionary[Dataset, dict[str, CheckerAudit]] = WeakKeyDictionary()
