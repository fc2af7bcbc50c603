"""What both arms share: which features are counted, where findings go, and what may hold them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.findings import Param
from audit.modules.base import Context
from audit.modules.fairness.stereotypes.features import Features
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet

SHOWN = 0.05
"""Evidence is kept for findings whose p-value, not corrected, is at most this."""


@dataclass(frozen=True)
class Desk:
    """One run of the part.

    Attributes:
        context: what is audited.
        features: what is counted.
        card: the findings.
        sheet: for evidence.
        examples: pieces of evidence per finding.
        fewest: counts below which a feature is not judged.
        strength: of the prior.
    """

    context: Context
    features: Sequence[Features]
    card: ReportCard
    sheet: Sheet
    examples: int
    fewest: int
    strength: float

    def rng(self, *names: str) -> np.random.Generator:
        """A random stream of the part."""
        return self.context.rng("fairness", "stereotypes", *names)

    def frequent(
        self, counted: Features, totals: Floats, metric: str, title: str, params: Mapping[str, Param]
    ) -> list[int]:
        """Features that were counted often enough; the others are named in a finding of their own."""
        kept = [i for i in counted.judged if totals[i] >= self.fewest]
        rare = [i for i in counted.judged if totals[i] < self.fewest]
        if rare:
            shown = ", ".join(f"{counted.names[i]} ({totals[i]:g})" for i in sorted(rare, key=lambda i: -totals[i])[:8])
            more = f" and {len(rare) - 8} more" if len(rare) > 8 else ""
            reason = f"counted fewer than {self.fewest} times in all lists together: {shown}{more}"
            self.card.skip(
                metric, f"{title}: rare values of {counted.column}", reason, **params, feature=counted.column
            )
        return kept


def plain(first: Floats, second: Floats, feature: int) -> str:
    """The log-odds ratio of pooled counts without a prior, for notes: a strong prior hides how large it is."""
    counts = np.array([first, second])
    here, rest = counts[:, feature], counts.sum(axis=1) - counts[:, feature]
    if not (here.all() and rest.all()):
        return "without the prior the ratio has no bound"
    ratio = np.log(here[0] / rest[0]) - np.log(here[1] / rest[1])
    return f"without the prior the log-odds ratio is {ratio:+.2f}"


def held_out(signs: Sequence[float], whole: float) -> bool:
    """Whether a sign is the same in all parts."""
    return all(np.sign(one) == np.sign(whole) for one in signs)
