"""How alike the answers of a grid are, anchor by anchor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from audit.modules.fairness.design import NEUTRAL, Readings, Variant
from audit.modules.fairness.sweep.similarity import COMPAT, Measure, matrix
from audit.modules.outcomes import Bools, Floats

Form = str
"""`clean` or `compat`; see `similarity`."""


@dataclass(frozen=True)
class Alike:
    """Similarities between all runs of each anchor. Anchors lacking a list on either side have NaN.

    Attributes:
        readings: what came back.
        measure: of similarity, in its clean form.
    """

    readings: Readings
    measure: Measure

    @property
    def repeats(self) -> int:
        """Runs per variant and anchor."""
        return self.readings.repeats

    @property
    def anchors(self) -> int:
        """How many there are."""
        return len(self.readings.grid.anchors)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {variant.id: i for i, variant in enumerate(self.readings.grid.variants)}

    @cached_property
    def _similarity(self) -> Floats:
        """(anchors, runs of all variants, the same), x in rows; NaN for runs without a list."""
        width = len(self._place) * self.repeats
        found = np.full((self.anchors, width, width), np.nan)
        for at in range(self.anchors):
            runs = [run for name in self._place for run in self.readings[name][at]]
            held = [i for i, run in enumerate(runs) if run.valid]
            if held:
                k = max(runs[i].asked for i in held)
                found[at][np.ix_(held, held)] = matrix([runs[i].names for i in held], k, self.measure)
        return found

    def _runs(self, variant: str) -> slice:
        start = self._place[variant] * self.repeats
        return slice(start, start + self.repeats)

    def valid(self, *variants: str) -> Bools:
        """(anchors,) whether every run of all these variants gave a list."""
        return np.array([all(self.readings.valid[v][at] for v in variants) for at in range(self.anchors)], dtype=bool)

    def between(self, x: str, y: str = NEUTRAL) -> Floats:
        """(anchors,) mean similarity of the runs of two variants, x to y."""
        found: Floats = self._similarity[:, self._runs(x), self._runs(y)].mean(axis=(1, 2))
        return found

    def within(self, variant: str = NEUTRAL) -> Floats:
        """(anchors,) mean similarity of two different runs of a variant; 1 where each question was asked once."""
        block = self._similarity[:, self._runs(variant), self._runs(variant)]
        if self.repeats == 1:
            return np.where(np.isfinite(block[:, 0, 0]), 1.0, np.nan)
        total = block.sum(axis=(1, 2)) - np.trace(block, axis1=1, axis2=2)
        found: Floats = total / (self.repeats * (self.repeats - 1))
        return found

    def blocks(self, x: str, y: str, anchors: Bools) -> Floats:
        """(anchors, 2 repeats, 2 repeats) similarities of all runs of two variants, both ways averaged."""
        runs = np.r_[self._runs(x), self._runs(y)]
        block = self._similarity[anchors][:, runs][:, :, runs]
        found: Floats = (block + block.transpose(0, 2, 1)) / 2.0
        return found

    def table(self, variants: Sequence[Variant]) -> Floats:
        """(anchors, variants) mean similarity of each variant to the neutral form."""
        columns = [self.between(variant.id) for variant in variants]
        return np.stack(columns, axis=1) if columns else np.empty((self.anchors, 0))


def compat_similarity(readings: Readings, variant: str, measure: str) -> Floats:
    """(anchors,) mean of FaiRLLM's own measure over the runs of a variant and of the neutral form."""
    function = COMPAT[measure]
    found = np.full(len(readings.grid.anchors), np.nan)
    for at in range(len(found)):
        if readings.valid[variant][at] and readings.valid[NEUTRAL][at]:
            pairs = [(x, y) for x in readings[variant][at] for y in readings[NEUTRAL][at]]
            found[at] = np.mean([function(x.raw, y.raw, x.asked) for x, y in pairs])
    return found


def row_means(table: Floats) -> Floats:
    """Mean of each row over what it holds; NaN for a row that holds nothing."""
    present: npt.NDArray[np.bool_] = np.isfinite(table)
    count = present.sum(axis=1)
    total = np.where(present, table, 0.0).sum(axis=1)
    found: Floats = np.divide(total, count, out=np.full(len(table), np.nan), where=count > 0)
    return found
