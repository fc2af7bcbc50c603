"""What retrieval changes: the same questions without passages and with several kinds of them, compared per answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from audit.errors import nearest
from audit.gateway import Ask
from audit.grounding import Grounder
from audit.knowledge import KnowledgeBase
from audit.knowledge.prompting import WORDING, channel_of
from audit.modules.base import Context, Output
from audit.modules.free_text import free_text
from audit.modules.hallucination import knowledge, rungs
from audit.modules.hallucination.claim_outcomes import ClaimOutcomes, ClaimReader, claim_outcomes
from audit.modules.hallucination.grounding_arms import ARMS, ArmName, GroundingArm, arms_of
from audit.modules.hallucination.grounding_findings import Asked, Doubts, GroundingFindings
from audit.modules.hallucination.item_outcomes import item_outcomes
from audit.types import Case


@dataclass(frozen=True)
class Grounding:
    """Every case is asked without passages, and once more for each arm; all with the same wording and decoding.

    Attributes:
        answers: how many cases are asked.
        instruction: what they are asked; None for the target's own wording.
        knowledge: as the module's option: what is searched, and what claims are checked against.
        rungs: as the module's option: `nli`, `judge`.
        k: documents put before the target.
        arms: which of `retrieved`, `oracle`, `placebo`, `poisoned`; `retrieved` must be among them.
        wording: said behind the instruction where there are documents; empty to say nothing.
        queries: made from the catalogue's facts, per kind, to measure the search itself; 0 for none.
        checked: whether the checker is audited for this part too, so that nothing is concluded from where it does not
            meet its gates.
    """

    answers: int = 100
    instruction: str | None = None
    knowledge: Mapping[str, Any] | None = None
    rungs: Mapping[str, Any] | None = None
    k: int = 5
    arms: Sequence[str] = ARMS[1:]
    wording: str = WORDING
    queries: int = 200
    checked: bool = True
    _bases: dict[str, KnowledgeBase] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, least in (("answers", 1), ("k", 1), ("queries", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")
        if isinstance(self.arms, str) or not isinstance(self.arms, Sequence):
            raise ValueError(f"arms: {self.arms!r} must be a list of {', '.join(ARMS[1:])}")
        for arm in self.arms:
            if arm not in ARMS[1:]:
                raise ValueError(f"arms: {arm!r} is none; {nearest(str(arm), ARMS[1:])}")
        if "retrieved" not in self.arms:
            raise ValueError("arms: 'retrieved' must be among them, for the others are compared with it")
        if not isinstance(self.wording, str):
            raise ValueError(f"wording: {self.wording!r} must be a text")
        if not isinstance(self.checked, bool):
            raise ValueError(f"checked: {self.checked!r} must be true or false")
        knowledge.check(self.knowledge)
        rungs.check(self.rungs)

    def lacking(self, context: Context) -> str | None:
        """The target must write or rank, and read something in which documents can stand."""
        if not self._cases(context):
            return "the target writes no free text, and this run asks for no rankings"
        if channel_of(context.info) is None:
            return "the target reads no passages, no instruction and no note, so documents cannot reach it"
        if not len(context.dataset.catalog):
            return "the catalogue is empty, so there is nothing to retrieve"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every case in every arm."""
        cases = self._cases(context)
        return [Ask(case.request) for arm in self._arms(context, cases).values() for case in arm.cases(cases)]

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask, look titles up, rule on claims, and compare."""
        reader = ClaimReader.build(context, self.knowledge, self.rungs)
        return self.conclude(context, reader, self._doubts(context), examples=examples)

    def conclude(self, context: Context, reader: ClaimReader, doubts: Doubts, *, examples: int) -> Output:
        """As `run`, with what reads claims built already, and its audit read."""
        cases = self._cases(context)
        grounder = Grounder(context.dataset.catalog)
        asked: dict[ArmName, Asked] = {}
        for name, arm in self._arms(context, cases).items():
            edited = arm.cases(cases)
            answers = context.ask([case.request for case in edited], label=f"grounding: {name}")
            written = all(case.request.task == "answer" for case in cases)
            claims = claim_outcomes(edited, answers, reader) if written else ClaimOutcomes(())
            asked[name] = Asked(arm, tuple(edited), tuple(item_outcomes(edited, answers, grounder)), claims)
        findings = GroundingFindings(context, cases, asked, self._base(context), self.k, examples, doubts)
        return findings.output(queries=self.queries)

    def _doubts(self, context: Context) -> Doubts:
        """Why the figures on titles, and those on claims, should not be concluded from."""
        if not self.checked:
            return Doubts()
        from audit.modules.hallucination import checker, gates

        part = checker.Checker(knowledge=self.knowledge, rungs=self.rungs)
        if lacking := part.lacking(context):
            reasons = (f"the checker could not be audited: {lacking}",)
            return Doubts(reasons, reasons)
        audit = part.audit(context)
        return Doubts(gates.title_gate(audit), gates.gate(audit))

    def _cases(self, context: Context) -> Sequence[Case]:
        written = free_text(context, self.answers, instruction=self.instruction)
        if written:
            return written
        return context.cases[: self.answers] if context.task == "rank" else ()

    def _arms(self, context: Context, cases: Sequence[Case]) -> Mapping[ArmName, GroundingArm]:
        names = cast(Sequence[ArmName], self.arms)
        base = self._base(context)
        return arms_of(context, cases, base, k=self.k, wording=self.wording.strip(), names=names)

    def _base(self, context: Context) -> KnowledgeBase:
        """Built once per catalogue: the plan is asked for more than once."""
        catalog = context.dataset.catalog
        if catalog.digest not in self._bases:
            self._bases[catalog.digest] = knowledge.build(self.knowledge, catalog)
        return self._bases[catalog.digest]
