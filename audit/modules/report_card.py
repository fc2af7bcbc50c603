"""Turning intervals and tests into Findings, the same way in every module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from audit import stats
from audit.findings import Direction, Finding, Param, Roc, not_applicable
from audit.stats import Interval


@dataclass
class ReportCard:
    """Collects the findings of one module and corrects its tests together at the end.

    Attributes:
        module: id of the module.
        level: coverage of the intervals.
        controls: tags that every finding of the module bears on.
        correction: `holm` keeps the chance of any false finding among all tests; `bh` the share of false ones among
            those found, for families that are explored and not decided on.
        findings: in the order in which they were added.
        values: by finding id, what each case gave: values whose mean is the finding's effect, or else its estimate.
    """

    module: str
    level: float
    controls: tuple[str, ...] = ()
    correction: Literal["holm", "bh"] = "holm"
    findings: list[Finding] = field(default_factory=list)
    values: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def resamples(self) -> int:
        """Bootstrap resamples that leave a hundred replicates outside an interval of this level: 2,000 at 95 %.

        An early look is judged at 99.4 %, where 2,000 would leave its ends to a handful of draws.
        """
        return round(100 / (1 - self.level))

    def add(
        self,
        metric: str,
        title: str,
        interval: Interval,
        *,
        n: int,
        direction: Direction,
        params: Mapping[str, Param] | None = None,
        unit: str = "user",
        floor: float | None = None,
        effect: Interval | None = None,
        test: str = "",
        p: float | None = None,
        mde: float | None = None,
        note: str = "",
        unmet: Sequence[str] = (),
        evidence: Sequence[str] = (),
        values: Mapping[str, float] | None = None,
        facts: Mapping[str, Param] | None = None,
        roc: Roc | None = None,
    ) -> None:
        """Record a measured quantity.

        `effect` is the paired difference from the floor, `p` its test, `values` what each case gave, by case id,
        `unmet` what keeps it from being decided on, `facts` and `roc` what reports arrange (see `Finding`).
        """
        finding = Finding(
            module=self.module,
            metric=metric,
            title=title,
            params=params or {},
            estimate=_tidy(interval.estimate),
            ci=(_tidy(interval.low), _tidy(interval.high)),
            ci_method=interval.method,
            level=self.level,
            n=n,
            unit=unit,
            floor=None if floor is None else _tidy(floor),
            effect=None if effect is None else _tidy(effect.estimate),
            effect_ci=None if effect is None else (_tidy(effect.low), _tidy(effect.high)),
            effect_ci_method="" if effect is None else effect.method,
            test=test,
            p=None if p is None else _tidy(p),
            mde=None if mde is None else _tidy(mde),
            direction=direction,
            controls=self.controls,
            note=note,
            unmet=tuple(unmet),
            evidence=tuple(evidence),
            facts=facts or {},
            roc=roc,
        )
        self.findings.append(finding)
        if values is not None:
            self.values[finding.id] = {case: _tidy(float(value)) for case, value in values.items()}

    def skip(self, metric: str, title: str, reason: str, /, **params: Param) -> None:
        """Record a check that could not run, with the reason."""
        self.findings.append(
            replace(not_applicable(self.module, metric, title, reason, params), controls=self.controls)
        )

    def take(self, other: ReportCard) -> None:
        """Add the findings of another card of the same module."""
        self.findings += other.findings
        self.values |= other.values

    def corrected(self) -> list[Finding]:
        """The findings with p-values adjusted over all tests of the card."""
        tested = [i for i, f in enumerate(self.findings) if f.p is not None]
        found = list(self.findings)
        if tested:
            adjust = stats.holm if self.correction == "holm" else stats.benjamini_hochberg
            adjusted = adjust([found[i].p or 0.0 for i in tested])
            for i, p in zip(tested, adjusted, strict=True):
                found[i] = replace(found[i], p_adjusted=_tidy(float(p)))
        return found


def mde_of(differences: npt.NDArray[np.float64]) -> float | None:
    """Smallest mean paired difference that this many units would have shown, from the spread seen; None if none was."""
    if len(differences) < 2:
        return None
    spread = float(np.std(differences, ddof=1))
    return stats.minimum_detectable_difference(spread, len(differences)) if spread > 0 else None


def _tidy(value: float) -> float:
    """Ten significant digits: beyond them lies only the rounding of the machine."""
    return float(f"{value:.10g}")
