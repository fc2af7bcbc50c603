"""The hallucination module: which parts are asked, and with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from audit.modules.base import ModuleInfo
from audit.modules.parts import Block, OfParts, Parts, Place, build_parts
from audit.modules.protected import Named, Shelf

INFO = ModuleInfo(
    id="hallucination",
    title="Hallucination",
    question="Does it recommend what exists and may be had, and is what it says true?",
    metrics=(
        # Items: lists and free text.
        "hallucinated_item_rate",
        "hallucinated_answer_rate",
        "ambiguous_rate",
        "duplicate_item_rate",
        "consumed_item_rate",
        "ineligible_rate",
        "wrong_count_rate",
        "constraint_violation_rate",
        # Claims.
        "supported_rate",
        "contradicted_rate",
        "contradicted_answer_rate",
        "unverifiable_rate",
        "claim_coverage",
        "claim_precision",
        "claims_per_answer",
        "respond_rate",
        "unanswered_rate",
        "factscore",
        "invented_history_rate",
        "self_contradiction_rate",
        "passage_conflict_rate",
        "ragas_faithfulness",
        "deepeval_hallucination",
        # Answers that say nothing.
        "refused_rate",
        "unparsable_rate",
        "empty_rate",
        "error_rate",
        # Consistency, citations.
        "inconsistency",
        "consistency_auc",
        "citation_recall",
        "citation_precision",
        "fabricated_citation_rate",
        # Retrieval as a mitigation.
        "rag_uplift",
        "retrieval_recall",
        "retrieval_mrr",
        # The checker itself.
        "checker_precision",
        "checker_recall",
        "checker_f1",
        "checker_false_alarm_rate",
        "checker_confusion",
        "existence_f1",
        "existence_precision",
        "existence_recall",
        "extraction_recall",
        "mitigation_change",
    ),
    tasks=("rank", "score", "answer"),
    controls=("owasp-llm:2026:LLM07", "nist-ai-rmf:1.0:MEASURE-2.5", "eu-ai-act:2024:art15"),
)

_ROOM = "audit.modules.hallucination"
PLACES: Mapping[str, Place] = {
    "checker": Place(f"{_ROOM}.checker:Checker", "checker_f1", "The checker, audited first"),
    "items": Place(f"{_ROOM}.items:Items", "hallucinated_item_rate", "Whether recommended items exist and may be had"),
    "claims": Place(f"{_ROOM}.claims:Claims", "contradicted_rate", "Whether what it says of items is true"),
    "consistency": Place(f"{_ROOM}.consistency:Consistency", "inconsistency", "Whether it says the same again"),
    "citations": Place(f"{_ROOM}.citations:Citations", "citation_recall", "Whether its citations hold"),
    "grounding": Place(f"{_ROOM}.grounding:Grounding", "rag_uplift", "What retrieval changes"),
}


@dataclass(frozen=True)
class Hallucination(OfParts):
    """The module.

    Attributes:
        answers: how many cases are asked for free text.
        instruction: what they are asked; None for the target's own wording.
        knowledge: what claims are checked against beside the catalogue: `documents` (paths), `encoder`, `complete`
            (attributes of the catalogue that list all there is).
        rungs: of the ladder beyond structured facts: `nli` (folder of a model), `judge` (a target block).
        checker: options of the part, `{}` or `true` for its defaults, `false` to leave it out; so for every part.
        items: see `checker`.
        claims: see `checker`.
        consistency: see `checker`; left out unless asked for, as are the parts below.
        citations: see `checker`.
        grounding: see `checker`.
        defenses: mitigations to be set against every part.
        examples: pieces of evidence kept per finding.
    """

    answers: int = 100
    instruction: str | None = None
    knowledge: Mapping[str, Any] | None = None
    rungs: Mapping[str, Any] | None = None
    checker: Block = True
    items: Block = True
    claims: Block = True
    consistency: Block = False
    citations: Block = False
    grounding: Block = False
    defenses: Named = ()
    examples: int = field(default=5, kw_only=True)

    def __post_init__(self) -> None:
        if self.answers < 1:
            raise ValueError(f"answers: {self.answers} must be at least 1")
        super().__post_init__()

    @cached_property
    def parts(self) -> Parts:
        """The parts that are asked."""
        shared: Mapping[str, int | str | Mapping[str, Any] | Sequence[str] | None] = {
            "answers": self.answers,
            "instruction": self.instruction,
            "knowledge": self.knowledge,
            "rungs": self.rungs,
        }
        blocks = {name: getattr(self, name) for name in PLACES}
        built = build_parts(PLACES, blocks, where="modules.hallucination", shared=shared)
        return Parts(INFO, PLACES, built, Shelf(self.defenses, "modules.hallucination.defenses"), self.examples)
