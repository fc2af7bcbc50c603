"""The fairness module: which parts are asked, and with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from audit.modules.base import ModuleInfo
from audit.modules.parts import Block, OfParts, Parts, Place, build_parts
from audit.modules.protected import Named, Shelf

INFO = ModuleInfo(
    id="fairness",
    title="Fairness",
    question="Does it treat people and providers alike, beyond what noise and harmless words do?",
    metrics=(
        # A stated attribute: sweep, swaps, stereotypes.
        "excess_distance",
        "energy_distance",
        "dispersion",
        "similarity",
        "value_distance",
        "snsr",
        "snsv",
        "spelling_effect",
        "language_effect",
        "invalid_gap",
        "swap_distance",
        "top_change_rate",
        "score_shift",
        "decision_flip_rate",
        "utility_shift",
        "interaction",
        "association",
        "amplification",
        # What only hints at one: names, dialect.
        "name_effect",
        "dialect_effect",
        # Real groups of users.
        "group_quality",
        "quality_gap",
        "quality_spread",
        "disclosure_effect",
        "calibration_gap",
        "group_calibration",
        # Providers and items.
        "exposure_share",
        "exposure_ratio",
        "exposure_parity",
        "treatment_ratio",
        "gini",
        "coverage",
        "tail_coverage",
        "arp",
        "aplt",
        "popularity_lift",
        "log_popularity_shift",
        "mgu",
        "dgu",
        "outside_share",
        # Selections and promises.
        "selection_rate",
        "scoring_rate",
        "impact_ratio",
        "unknown_share",
        "profiling_effect",
        # What a mitigation does to any of them.
        "mitigation_change",
    ),
    tasks=("rank", "score", "answer"),
    controls=("eu-ai-act:2024:art10", "nist-ai-rmf:1.0:MEASURE-2.11"),
)

PLACES: Mapping[str, Place] = {
    "sweep": Place("audit.modules.fairness.sweep:Sweep", "excess_distance", "What a stated attribute changes"),
    "swaps": Place(
        "audit.modules.fairness.swaps:Swaps", "swap_distance", "One value of an attribute exchanged for another"
    ),
    "stereotypes": Place("audit.modules.fairness.stereotypes:Stereotypes", "association", "Genres tied to groups"),
    "groups": Place("audit.modules.fairness.groups:Groups", "quality_gap", "How well real groups of users are served"),
    "exposure": Place("audit.modules.fairness.exposure:Exposure", "exposure_ratio", "Who gets the exposure"),
    "names": Place("audit.modules.fairness.names:Names", "name_effect", "What a name changes"),
    "dialect": Place("audit.modules.fairness.dialect:Dialect", "dialect_effect", "What a dialect changes"),
    "profiling": Place(
        "audit.modules.fairness.profiling:Profiling", "profiling_effect", "The mode that does not profile"
    ),
    "hiring": Place("audit.modules.fairness.hiring:Hiring", "impact_ratio", "Who is selected"),
}


@dataclass(frozen=True)
class Fairness(OfParts):
    """The module.

    Attributes:
        attributes: attributes that `sweep`, `swaps`, `stereotypes` and `groups` look at, unless their blocks name
            others; None for each part's own default.
        sweep: options of the part, `{}` or `true` for its defaults, `false` to leave it out; so for every part.
        swaps: see `sweep`.
        stereotypes: see `sweep`.
        groups: see `sweep`.
        exposure: see `sweep`.
        names: see `sweep`; left out unless asked for, as are the parts below.
        dialect: see `sweep`.
        profiling: see `sweep`.
        hiring: see `sweep`.
        defenses: mitigations to be set against every part, as in the robustness module.
        examples: pieces of evidence kept per finding.
    """

    attributes: Sequence[str] | None = None
    sweep: Block = True
    swaps: Block = True
    stereotypes: Block = True
    groups: Block = True
    exposure: Block = True
    names: Block = False
    dialect: Block = False
    profiling: Block = False
    hiring: Block = False
    defenses: Named = ()
    examples: int = field(default=5, kw_only=True)

    @cached_property
    def parts(self) -> Parts:
        """The parts that are asked."""
        built = build_parts(
            PLACES,
            {name: getattr(self, name) for name in PLACES},
            where="modules.fairness",
            shared={"attributes": self.attributes},
        )
        return Parts(INFO, PLACES, built, Shelf(self.defenses, "modules.fairness.defenses"), self.examples)
