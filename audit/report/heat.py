"""The colours of a table of numbers: a few round bands of values, each with a shade; the stronger, the more harm.

The shades are one hue from pale to dark (classes `h0` to `h6` of the style sheet), so they are told apart by lightness
alone, by whoever does not see hues and in print. A band is never narrower than the typical standard error of the table,
so that a table of noise has few shades; whether two cells differ is for their intervals to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from audit.findings import Finding
from audit.report.defenses import DefenseView, Grid
from audit.report.plots import decimals, round_step

SHADES = 7
"""Classes of the style sheet, from `h0`, the least harm, to `h6`."""


def heat(view: DefenseView, grid: Grid) -> Heat:
    """The colours of a grid: the same for all grids of a report that show the same quantity."""
    alike = [other for other in view.grids if other.higher_is_better == grid.higher_is_better]
    return Heat.of((f for other in alike for f in other.figures), higher_is_better=grid.higher_is_better)


@dataclass(frozen=True)
class Band:
    """Values that share a shade.

    Attributes:
        shade: class of the style sheet, without its `h`.
        label: the values, from low to high.
    """

    shade: int
    label: str


@dataclass(frozen=True)
class Heat:
    """Which shade a value has.

    Attributes:
        low: where the lowest band begins.
        width: of a band.
        count: of bands, 1 to 7.
        higher_is_better: whether the lowest band is the one with the strongest shade.
    """

    low: float
    width: float
    count: int
    higher_is_better: bool

    @classmethod
    def of(cls, findings: Iterable[Finding], *, higher_is_better: bool) -> Heat:
        """Bands that hold all these estimates.

        Args:
            findings: of the table; those without an estimate have no shade.
            higher_is_better: as the table is read.
        """
        measured = [f for f in findings if f.estimate is not None]
        values = [f.estimate for f in measured if f.estimate is not None] or [0.0]
        # A 95% interval is about four standard errors wide.
        unsure = median([(f.ci[1] - f.ci[0]) / 4 for f in measured if f.ci is not None] or [0.0])
        spread = max(values) - min(values)
        width = round_step(max(spread / (SHADES - 1), unsure, 1e-3))
        low = math.floor(min(values) / width + _TINY) * width
        count = max(math.ceil((max(values) - low) / width - _TINY), 1)
        return cls(low, width, count, higher_is_better)

    def shade(self, value: float) -> int:
        """0, the least harm, to 6; values beyond the ends have the shade of the end."""
        band = min(max(math.floor((value - self.low) / self.width + _TINY), 0), self.count - 1)
        return self._shade(band)

    @property
    def bands(self) -> list[Band]:
        """All bands, the least harm first."""
        digits = decimals(self.width)
        edges = [f"{self.low + i * self.width:.{digits}f}".replace("-", "−") for i in range(self.count + 1)]
        found = [Band(self._shade(i), f"{edges[i]} to {edges[i + 1]}") for i in range(self.count)]
        return found[::-1] if self.higher_is_better else found

    def _shade(self, band: int) -> int:
        if self.count == 1:
            return SHADES // 3
        harm = self.count - 1 - band if self.higher_is_better else band
        # A few bands stay pale: the strongest shade is for values that lie many bands from the best.
        return round(harm * min(2.0, (SHADES - 1) / (self.count - 1)))


_TINY = 1e-9
"""So that a value on the edge of a band is not put below it by rounding."""
