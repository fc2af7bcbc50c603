"""How rates over claims and over answers become findings: whole answers are resampled, and silence keeps its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.findings import Direction, Param
from audit.modules.base import Context, Output
from audit.modules.hallucination.claim_outcomes import ClaimOutcomes
from audit.modules.hallucination.module import INFO
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.text import count

Counts = NDArray[np.int64]
PART: Mapping[str, Param] = {"part": "claims"}


@dataclass
class ClaimWriter:
    """Writes findings about one set of answers.

    Attributes:
        context: of the run.
        outcomes: the answers, checked.
        examples: pieces of evidence kept per finding.
        card: the findings.
        sheet: the evidence.
    """

    context: Context
    outcomes: ClaimOutcomes
    examples: int
    card: ReportCard = field(init=False)
    sheet: Sheet = field(init=False)

    def __post_init__(self) -> None:
        self.card = ReportCard(INFO.id, self.context.level, INFO.controls)
        self.sheet = Sheet(self.context, self.card, Output(), self.examples)

    @property
    def written(self) -> Output:
        """What was written so far."""
        return Output(self.card.findings, self.sheet.output.evidence, self.card.values)

    def claims(
        self,
        metric: str,
        title: str,
        hits: Counts,
        trials: Counts,
        params: Mapping[str, Param],
        direction: Direction,
        *,
        note: str = "",
        unmet: Sequence[str] = (),
        shown: Sequence[str] = (),
        values: bool = False,
    ) -> None:
        """A rate over claims. Whole answers are resampled; those without such a claim say nothing about it."""
        counted = f"{int(hits.sum())} of {count(int(trials.sum()), 'claim')} in {_speaking(trials)}"
        said = f"{counted}; {note}" if note else counted
        if reason := too_few(hits, trials):
            self.card.skip(metric, title, f"{reason} ({said})", **params)
            return
        rate = stats.cluster_rate(
            hits, trials, rng=self.rng(metric, *(f"{k}={v}" for k, v in params.items())), level=self.card.level,
            resamples=self.card.resamples,
        )  # fmt: skip
        # Linearised: one number per answer whose mean is the rate, and that spreads as the rate does.
        each = rate.estimate + (hits - rate.estimate * trials) / trials.mean()
        self.card.add(
            metric, title, rate, n=int(np.count_nonzero(trials)), direction=direction,
            params=params, unit="answer", note=said, unmet=unmet, evidence=shown,
            values=dict(zip(self.ids, each.tolist(), strict=True)) if values else None,
        )  # fmt: skip

    def share(
        self,
        metric: str,
        title: str,
        hits: Counts,
        params: Mapping[str, Param],
        direction: Direction,
        note: str = "",
        *,
        unmet: Sequence[str] = (),
        shown: Sequence[str] = (),
    ) -> None:
        """A rate over all answers that were asked for."""
        counted = f"{int(hits.sum())} of {count(len(hits), 'answer')}"
        self.card.add(
            metric, title, stats.wilson(int(hits.sum()), len(hits), self.card.level), n=len(hits), direction=direction,
            params=params, unit="answer", note=f"{counted}; {note}" if note else counted, unmet=unmet, evidence=shown,
            values=dict(zip(self.ids, hits.tolist(), strict=True)),
        )  # fmt: skip

    def mean(
        self,
        metric: str,
        title: str,
        each: Mapping[str, float],
        params: Mapping[str, Param],
        *,
        direction: Direction,
        note: str,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        """A mean over answers that have the number."""
        if len(each) < 2:
            reason = f"{count(len(each), 'answer has', 'answers have')} this number, and 2 are needed; {note}"
            self.card.skip(metric, title, reason, **params)
            return
        values = np.array(list(each.values()), dtype=np.float64)
        mean = stats.mean_interval(
            values, rng=self.rng(metric, str(params.get("gamma", ""))), level=self.card.level,
            resamples=self.card.resamples, bounds=bounds,
        )  # fmt: skip
        self.card.add(
            metric, title, mean, n=len(each), direction=direction, params=params, unit="answer", note=note, values=each
        )

    @property
    def ids(self) -> list[str]:
        """Of the cases, in the answers' order."""
        return [one.case.id for one in self.outcomes.answers]

    def rng(self, *names: str) -> np.random.Generator:
        """The random stream of one finding."""
        return self.context.rng(INFO.id, "claims", *names)


def too_few(hits: Counts, trials: Counts) -> str:
    """Why there is no rate; empty where there is one."""
    units = int(np.count_nonzero(trials))
    if not units:
        return "no answer holds such a claim"
    if units == 1 and 0 < hits.sum() < trials.sum():
        return "only one answer holds such claims, and 2 are needed"
    return ""


def _speaking(trials: Counts) -> str:
    return f"{int(np.count_nonzero(trials))} of {count(len(trials), 'answer')}"
