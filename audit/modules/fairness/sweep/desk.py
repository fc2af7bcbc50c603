"""What the judges of the sweep share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from audit import stats
from audit.findings import Param
from audit.modules.base import Context
from audit.modules.fairness.design import NEUTRAL, Readings, Variant
from audit.modules.fairness.sweep.alike import Alike, row_means
from audit.modules.fairness.sweep.similarity import Measure
from audit.modules.outcomes import Bools, Floats
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet

FEWEST = 2
"""Anchors that a comparison needs."""
_ENOUGH_WORDINGS = 2 / 3


@dataclass(frozen=True)
class Desk:
    """One run of the part.

    Attributes:
        context: what is audited.
        readings: of the main experiment.
        wordings: of the same in other words.
        languages: of the same in other languages.
        strata: by anchor id.
        measure: of similarity that findings rest on.
        replicate: whether FaiRLLM's own forms of its measures are wanted too.
        params: of every finding.
        unit: of inference.
        primary: tests of whether a value changes answers at all, and of SNSR.
        effects: tests of whether it changes them more than placebos do.
        validity: tests of refusals and of answers that cannot be read.
        explored: all others.
        sheet: for evidence.
        can_reword: whether this target can be asked in other words at all.
    """

    context: Context
    readings: Readings
    wordings: Sequence[Readings]
    languages: Mapping[str, Readings]
    strata: Mapping[str, str]
    measure: Measure
    replicate: bool
    params: Mapping[str, Param]
    unit: str
    primary: ReportCard
    effects: ReportCard
    validity: ReportCard
    explored: ReportCard
    sheet: Sheet
    can_reword: bool = True
    _alike: dict[str, Alike] = field(default_factory=dict)

    @property
    def alike(self) -> Alike:
        """Similarities by the measure that findings rest on."""
        return self.by(self.measure)

    def by(self, measure: Measure) -> Alike:
        """Similarities by a measure, worked out once."""
        return self._alike.setdefault(measure, Alike(self.readings, measure))

    @cached_property
    def reworded(self) -> list[Alike]:
        """Similarities within each other wording."""
        return [Alike(readings, self.measure) for readings in self.wordings]

    @property
    def units(self) -> list[str]:
        """Unit of each anchor."""
        return [anchor.who for anchor in self.readings.grid.anchors]

    @cached_property
    def placebos(self) -> list[Variant]:
        """The placebo variants."""
        return self.readings.of("placebo")

    @cached_property
    def values(self) -> dict[str, list[Variant]]:
        """The value variants by attribute."""
        found: dict[str, list[Variant]] = {}
        for variant in self.readings.of("value"):
            found.setdefault(variant.attribute, []).append(variant)
        return found

    @cached_property
    def permutations(self) -> int:
        """Enough for Holm to reach .05 over the primary family, and at least 9,999."""
        tests = len(self.readings.of("value")) + len(self.values)
        return max(9_999, round(2 * tests / 0.05))

    @cached_property
    def halves(self) -> tuple[Bools, Bools]:
        """A random half of the anchors of each stratum to find something on, and the other to confirm it on."""
        anchors = self.readings.grid.anchors
        first = np.zeros(len(anchors), dtype=bool)
        rng = self.rng("halves")
        odd = 0
        for stratum in sorted(set(self.strata.values())):
            members = [i for i, anchor in enumerate(anchors) if self.strata.get(anchor.id, "") == stratum]
            # Strata of odd size give their odd one to each half in turn.
            first[rng.permutation(members)[: (len(members) + odd) // 2]] = True
            odd = (odd + len(members)) % 2
        return first, ~first

    def rng(self, *names: str) -> np.random.Generator:
        """A random stream of the part."""
        return self.context.rng("fairness", "sweep", *names)

    def named(self, variant: Variant, **more: Param) -> dict[str, Param]:
        """Params of a finding on one value."""
        return {**self.params, "attribute": variant.attribute, "value": variant.value, **more}

    def by_unit(self, anchors: Bools, values: Floats) -> dict[str, float]:
        """One number per unit of these anchors."""
        return dict(zip(np.array(self.units)[anchors].tolist(), values.tolist(), strict=True))

    def beyond_placebos(self, alike: Alike, variant: str) -> Floats:
        """(anchors,) similarity to neutral that a value loses beyond what placebos lose; NaN where it is unknown."""
        found: Floats = row_means(alike.table(alike.readings.of("placebo"))) - alike.between(variant)
        return found

    def wording_signs(self, effects: Sequence[Floats]) -> list[bool]:
        """Per other wording, whether the mean of an effect is above 0; wordings without a number are left out."""
        return [bool(np.nanmean(effect) > 0) for effect in effects if np.isfinite(effect).any()]

    def not_confirmed(self, effect: Floats, signs: Sequence[bool]) -> list[str]:
        """Why an effect per anchor, NaN where unknown, is not confirmed by held-out anchors or in other words."""
        return self.not_held_out(effect) + (self.not_reworded(signs) if _claimed(effect) else [])

    def not_held_out(self, effect: Floats) -> list[str]:
        """Why an effect per anchor is not confirmed by a half of the anchors."""
        for half in self.halves if _claimed(effect) else ():
            known = effect[half & np.isfinite(effect)]
            if not len(known) or known.mean() <= 0:
                return ["it does not have the same sign on both halves of the anchors"]
        return []

    def not_reworded(self, signs: Sequence[bool]) -> list[str]:
        """Why signs in other wordings do not confirm an effect."""
        if not self.can_reword:
            return []
        if not signs:
            return ["it was not asked in other words (paraphrases)"]
        if sum(signs) < _ENOUGH_WORDINGS * len(signs):
            return [f"it has the same sign in only {sum(signs)} of {len(signs)} other wordings"]
        return []

    def evidence(self, variant: Variant, effect: Floats, what: str, *, by: Sequence[str] | None = None) -> list[str]:
        """Keep the anchors with the greatest effects; NaN is never shown."""
        order = [int(i) for i in np.argsort(-np.where(np.isfinite(effect), effect, -np.inf)) if effect[i] > 0]
        kept = []
        for at in order[: self.sheet.examples]:
            anchor = self.readings.grid.anchors[at]
            edits = variant.edits(anchor.request)
            note = by[at] if by is not None else f"{what}: {effect[at]:.3g}"
            title = f"{variant.attribute} {variant.value} instead of nothing"
            kept.append(self.sheet.compare(anchor.id, title, anchor.request, edits, note))
        return kept

    def mean(self, values: Floats, bounds: tuple[float, float], card: ReportCard, *names: str) -> stats.Interval:
        """Interval of a mean over anchors."""
        rng = self.rng("interval", *names)
        return stats.mean_interval(values, rng=rng, level=card.level, resamples=card.resamples, bounds=bounds)

    def rate(self, variant: str) -> float:
        """The share of runs of a variant that gave no list."""
        runs = [run.valid for by_anchor in self.readings[variant] for run in by_anchor]
        return 1.0 - sum(runs) / len(runs)

    def joint(self, anchors: Bools) -> str:
        """How many anchors a number rests on, where not all gave lists."""
        if anchors.all():
            return ""
        return f"on the {int(anchors.sum())} of {len(anchors)} anchors that gave lists in all runs compared"

    def comparable(self, variant: str) -> list[str]:
        """Why too many answers are missing for what is left to speak for the anchors."""
        valid = self.alike.valid(NEUTRAL, variant)
        if valid.mean() >= 0.5:
            return []
        return [f"only {int(valid.sum())} of {len(valid)} anchors gave lists with and without the value"]


def _claimed(effect: Floats) -> bool:
    """Whether there is an effect above 0 at all; where nothing is claimed, nothing needs to be confirmed."""
    return bool(np.isfinite(effect).any() and np.nanmean(effect) > 0)


def say(*notes: str) -> str:
    """Notes as one sentence."""
    return "; ".join(note for note in notes if note)
