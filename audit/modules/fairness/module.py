"""The fairness module: which parts are asked, and what a mitigation changes about each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib import import_module
from typing import Any, cast

from audit.gateway import Ask
from audit.modules.base import Context, ModuleInfo, Output, build
from audit.modules.fairness.mitigation import changes
from audit.modules.fairness.part import Part
from audit.modules.protected import Named, Shelf, protect
from audit.modules.report_card import ReportCard

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

PARTS: Mapping[str, tuple[str, str, str]] = {
    "sweep": ("audit.modules.fairness.sweep:Sweep", "excess_distance", "What a stated attribute changes"),
    "swaps": ("audit.modules.fairness.swaps:Swaps", "swap_distance", "One value of an attribute exchanged for another"),
    "stereotypes": ("audit.modules.fairness.stereotypes:Stereotypes", "association", "Genres tied to groups"),
    "groups": ("audit.modules.fairness.groups:Groups", "quality_gap", "How well real groups of users are served"),
    "exposure": ("audit.modules.fairness.exposure:Exposure", "exposure_ratio", "Who gets the exposure"),
    "names": ("audit.modules.fairness.names:Names", "name_effect", "What a name changes"),
    "dialect": ("audit.modules.fairness.dialect:Dialect", "dialect_effect", "What a dialect changes"),
    "profiling": ("audit.modules.fairness.profiling:Profiling", "profiling_effect", "The mode that does not profile"),
    "hiring": ("audit.modules.fairness.hiring:Hiring", "impact_ratio", "Who is selected"),
}
"""By name: where a part is, and the metric and title under which it says that it could not run."""

Block = Mapping[str, Any] | bool | None


@dataclass(frozen=True)
class Fairness:
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

    def __post_init__(self) -> None:
        if self.examples < 0:
            raise ValueError(f"examples: {self.examples} must be at least 0")
        self._shelf.check()
        # Built at once, so that a mistake is found before anything is asked.
        _ = self.parts

    @property
    def info(self) -> ModuleInfo:
        """The declaration."""
        return INFO

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """The parts that are asked, by name."""
        built: dict[str, Part] = {}
        for name, (path, _, _) in PARTS.items():
            block = getattr(self, name)
            if block is None or block is False:
                continue
            options = {} if block is True else dict(block)
            factory = _load(path)
            if self.attributes is not None and "attributes" in {f.name for f in fields(cast(Any, factory))}:
                options.setdefault("attributes", self.attributes)
            built[name] = build(factory, options, where=f"modules.fairness.{name}")
        return built

    @cached_property
    def _shelf(self) -> Shelf:
        return Shelf(self.defenses, "modules.fairness.defenses")

    def prepare(self, context: Context) -> None:
        """Build the mitigations."""
        self._shelf.build(context)

    def plan(self, context: Context) -> list[Ask]:
        """What the parts ask of the bare target."""
        return [ask for part in self._able(context).values() for ask in part.plan(context)]

    def search_queries(self, context: Context) -> int:
        """What they ask again behind each mitigation."""
        return len(self._shelf.blocks) * len({context.gateway.key(ask) for ask in self.plan(context)})

    def run(self, context: Context) -> Output:
        """Ask and conclude."""
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        found: dict[str, Output] = {}
        for name, part in self.parts.items():
            if reason := part.lacking(context):
                _, metric, title = PARTS[name]
                card.skip(metric, title, reason, part=name)
            else:
                found[name] = part.run(context, examples=self.examples)
        placed = protect(self._shelf.build(context), context, card, metric="mitigation_change")
        output.findings = list(card.findings)
        values: dict[str, Mapping[str, float]] = {}
        for one in found.values():
            output.findings += one.findings
            output.evidence += one.evidence
            values |= one.values
        for one_defense in placed:
            changed = changes(one_defense, self.parts, found, examples=self.examples)
            output.findings += changed.findings
            output.evidence += changed.evidence
            values |= changed.values
        output.values = values
        return output

    def _able(self, context: Context) -> dict[str, Part]:
        return {name: part for name, part in self.parts.items() if part.lacking(context) is None}


def _load(path: str) -> Callable[..., Part]:
    module, _, name = path.partition(":")
    return cast(Callable[..., Part], getattr(import_module(module), name))
