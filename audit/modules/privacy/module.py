"""The privacy module: which parts are asked, and with which options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from audit.modules.base import ModuleInfo
from audit.modules.parts import Block, OfParts, Parts, Place, build_parts
from audit.modules.protected import Named, Shelf

INFO = ModuleInfo(
    id="privacy",
    title="Privacy",
    question="Does it give away whom it learnt from, what it was told, or who is asking?",
    metrics=(
        # The guarantee, and what contradicts it.
        "epsilon_claimed",
        "guarantee_void",
        "epsilon_lower_bound",
        # Membership: in the training, in the prompt.
        "mia_auc",
        "tpr_at_1pct_fpr",
        "tpr_at_01pct_fpr",
        "mia_advantage",
        "blind_auc",
        # Memory: planted secrets, histories.
        "exposure",
        "canary_auc",
        "extraction_rate",
        "extraction_uplift",
        # What answers say of the person.
        "attribute_inference",
        "pii_rate",
        "prompt_leak_rate",
        "cross_user_rate",
        "sensitive_rate",
        # Forgetting.
        "unlearning_gap",
        "mitigation_change",
    ),
    tasks=("rank", "score", "answer"),
    controls=("owasp-llm:2026:LLM02", "nist-ai-rmf:1.0:MEASURE-2.10", "gdpr:2016:art5"),
)

_ROOM = "audit.modules.privacy"
PLACES: Mapping[str, Place] = {
    "guarantee": Place(f"{_ROOM}.promise:Promise", "epsilon_claimed", "What its training promises"),
    "membership": Place(f"{_ROOM}.membership:Membership", "mia_auc", "Whether it shows who was trained on"),
    "lower_bound": Place(f"{_ROOM}.lower_bound:LowerBound", "epsilon_lower_bound", "Least ε that its leaks prove"),
    "in_context": Place(f"{_ROOM}.in_context:InContext", "mia_auc", "Whether it shows who stands in its prompt"),
    "canaries": Place(f"{_ROOM}.canaries:Canaries", "exposure", "Whether it remembers planted secrets"),
    "extraction": Place(f"{_ROOM}.extraction:Extraction", "extraction_rate", "Whether histories can be drawn out"),
    "inference": Place(f"{_ROOM}.inference:Inference", "attribute_inference", "What lists give away of the person"),
    "leakage": Place(f"{_ROOM}.leakage:Leakage", "pii_rate", "Personal data and instructions in answers"),
    "unlearning": Place(f"{_ROOM}.unlearning:Unlearning", "unlearning_gap", "Whether it can forget a person"),
}


@dataclass(frozen=True)
class Privacy(OfParts):
    """The module.

    Attributes:
        members: who was trained on and who was left out: a file or a folder with `members.json`; None for what the
            target itself says.
        guarantee: options of the part, `{}` or `true` for its defaults, `false` to leave it out; so for every part.
        membership: see `guarantee`.
        lower_bound: see `guarantee`.
        in_context: see `guarantee`; left out unless asked for.
        canaries: see `guarantee`.
        extraction: see `guarantee`.
        inference: see `guarantee`.
        leakage: see `guarantee`.
        unlearning: see `guarantee`; left out unless asked for, for it trains.
        defenses: mitigations to be set against every part.
        examples: pieces of evidence kept per finding.
    """

    members: str | None = None
    guarantee: Block = True
    membership: Block = True
    lower_bound: Block = True
    in_context: Block = False
    canaries: Block = True
    extraction: Block = True
    inference: Block = True
    leakage: Block = True
    unlearning: Block = False
    defenses: Named = ()
    examples: int = field(default=5, kw_only=True)

    @cached_property
    def parts(self) -> Parts:
        """The parts that are asked."""
        shared: Mapping[str, Any] = {"members": self.members}
        blocks = {name: getattr(self, name) for name in PLACES}
        built = build_parts(PLACES, blocks, where="modules.privacy", shared=shared)
        return Parts(INFO, PLACES, built, Shelf(self.defenses, "modules.privacy.defenses"), self.examples)
