"""The explanation module: which parts are asked, and with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from audit.modules.base import ModuleInfo
from audit.modules.parts import Block, OfParts, Parts, Place, build_parts
from audit.modules.protected import Named, Shelf

INFO = ModuleInfo(
    id="explanation",
    title="Explanation",
    question="What moves its answers, and are the reasons given for them the true ones?",
    metrics=(
        # Attribution over history items, and whether it is faithful.
        "comprehensiveness",
        "sufficiency",
        "deletion_auc",
        "insertion_auc",
        "faithfulness_gain",
        "sanity",
        "stability",
        "position_effect",
        "unstable_rate",
        "attribution_agreement",
        "completeness_gap",
        # Counterfactuals.
        "counterfactual_success",
        "counterfactual_size",
        "counterfactual_verified",
        # The target's own words.
        "stated_precision",
        "stated_matters",
        "stated_invented_rate",
        # Influence of the fields of a request.
        "field_influence",
        "undisclosed_influence",
        "protected_influence",
        "mitigation_change",
    ),
    tasks=("rank", "score", "answer"),
    controls=("eu-dsa:2022:art27", "eu-ai-act:2024:art13", "nist-ai-rmf:1.0:MEASURE-2.9"),
)

_ROOM = "audit.modules.explanation"
PLACES: Mapping[str, Place] = {
    "faithfulness": Place(
        f"{_ROOM}.faithfulness:Faithfulness", "comprehensiveness", "Whether attributions are faithful"
    ),
    "tokens": Place(f"{_ROOM}.tokens:Tokens", "attribution_agreement", "Attributions by words, by Captum"),
    "counterfactuals": Place(
        f"{_ROOM}.counterfactuals:Counterfactuals", "counterfactual_success", "What would change it"
    ),
    "stated": Place(f"{_ROOM}.stated:Stated", "stated_precision", "Whether its own reasons are the true ones"),
    "fields": Place(f"{_ROOM}.fields:Fields", "field_influence", "What each part of a request moves"),
}


@dataclass(frozen=True)
class Explanation(OfParts):
    """The module.

    Attributes:
        users: how many users' answers are explained.
        operators: how items are taken away: `delete`, `placeholder`, `swap` (an item as popular in its place). Results
            stand under each.
        evaluations: the most questions that one answer's attribution may cost.
        items: how many of the latest items of a history are weighed, the older ones staying as they are; None for all.
            Every set of up to 8 can be asked, which is exact; of more, orders are drawn, which costs more and says
            less.
        faithfulness: options of the part, `{}` or `true` for its defaults, `false` to leave it out; so for every part.
        tokens: see `faithfulness`; left out unless asked for, for it needs weights.
        counterfactuals: see `faithfulness`.
        stated: see `faithfulness`.
        fields: see `faithfulness`.
        defenses: mitigations to be set against every part.
        examples: pieces of evidence kept per finding.
    """

    users: int = 20
    operators: Sequence[str] = ("delete", "placeholder")
    evaluations: int = 256
    items: int | None = 6
    faithfulness: Block = True
    tokens: Block = False
    counterfactuals: Block = True
    stated: Block = True
    fields: Block = True
    defenses: Named = ()
    examples: int = field(default=5, kw_only=True)

    @cached_property
    def parts(self) -> Parts:
        """The parts that are asked."""
        shared: Mapping[str, Any] = {
            "users": self.users,
            "operators": self.operators,
            "evaluations": self.evaluations,
            "items": self.items,
        }
        blocks = {name: getattr(self, name) for name in PLACES}
        built = build_parts(PLACES, blocks, where="modules.explanation", shared=shared)
        return Parts(INFO, PLACES, built, Shelf(self.defenses, "modules.explanation.defenses"), self.examples)
