"""Whether what an answer says of items and of the user is so: supported, contradicted, unverifiable, never merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.free_text import free_text
from audit.modules.hallucination import knowledge, rungs
from audit.modules.hallucination.claim_findings import ClaimFindings
from audit.modules.hallucination.claim_outcomes import ClaimReader, claim_outcomes
from audit.modules.hallucination.claim_trust import Trust, trust


@dataclass(frozen=True)
class Claims:
    """Every case is asked for free text; what the answer asserts is extracted and ruled on.

    Attributes:
        answers: how many cases are asked.
        instruction: what they are asked; None for the target's own wording.
        knowledge: as the module's option: `documents`, `encoder` and `complete`.
        rungs: as the module's option: `nli`, `judge`.
        gamma: facts below which FActScore penalises an answer for being short.
        corrected: whether the checker is audited for this part too, so that the contradicted rate can be corrected for
            its errors, and is not concluded from where the checker does not meet its gates.
    """

    answers: int = 100
    instruction: str | None = None
    knowledge: Mapping[str, Any] | None = None
    rungs: Mapping[str, Any] | None = None
    gamma: float = 10.0
    corrected: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.answers, bool) or not isinstance(self.answers, int) or self.answers < 1:
            raise ValueError(f"answers: {self.answers!r} must be a whole number of at least 1")
        if isinstance(self.gamma, bool) or not isinstance(self.gamma, int | float) or not 0 < self.gamma < 1000:
            raise ValueError(f"gamma: {self.gamma!r} must be a number above 0 and below 1000; FActScore has 10")
        if not isinstance(self.corrected, bool):
            raise ValueError(f"corrected: {self.corrected!r} must be true or false")
        knowledge.check(self.knowledge)
        rungs.check(self.rungs)

    def lacking(self, context: Context) -> str | None:
        """The target must write free text."""
        cases = free_text(context, self.answers, instruction=self.instruction)
        return None if cases else "the target writes no free text"

    def plan(self, context: Context) -> list[Ask]:
        """Every case once."""
        # Mistakes are found before anything is asked.
        knowledge.present(self.knowledge)
        knowledge.complete(self.knowledge, context.dataset.catalog)
        return [Ask(case.request) for case in free_text(context, self.answers, instruction=self.instruction)]

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask, extract, rule and count."""
        reader = ClaimReader.build(context, self.knowledge, self.rungs)
        believed = trust(context, self.knowledge, self.rungs) if self.corrected else Trust()
        return self.conclude(context, reader, believed, examples=examples)

    def conclude(self, context: Context, reader: ClaimReader, believed: Trust, *, examples: int) -> Output:
        """As `run`, with what is built already."""
        cases = free_text(context, self.answers, instruction=self.instruction)
        answers = context.ask([case.request for case in cases], label="claims")
        outcomes = claim_outcomes(cases, answers, reader)
        return ClaimFindings(context, outcomes, examples, believed=believed, notes=reader.notes).output(self.gamma)
