"""What the judges of user groups share: who is who, what each user got, and where findings go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audit import metrics
from audit.findings import Param
from audit.modules.base import Context
from audit.modules.outcomes import Floats, rank_outcomes, score_outcomes
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.stats import auc
from audit.types import Answer, Case

Measure = Literal["ndcg", "hr", "recall", "right", "uauc"]
MEASURES: Mapping[str, tuple[Measure, ...]] = {"rank": ("ndcg", "hr", "recall"), "score": ("right", "uauc")}
"""What a user can be served well or badly by, by task; the first is decided on unless another is named."""

WORDS: Mapping[Measure, str] = {
    "ndcg": "NDCG",
    "hr": "hit rate",
    "recall": "recall",
    "right": "share of right decisions",
    "uauc": "AUC within the user",
}


@dataclass(frozen=True)
class Desk:
    """One run of the part.

    Attributes:
        context: what is audited.
        values: by measure, one value per case; NaN where the case has none (AUC of a user with one class).
        primary: findings that are decided on.
        explored: all others.
        sheet: for evidence.
        against: `others`, or a group by name.
    """

    context: Context
    values: Mapping[Measure, Floats]
    primary: ReportCard
    explored: ReportCard
    sheet: Sheet
    against: str

    def rng(self, *names: str) -> np.random.Generator:
        """A random stream of the part."""
        return self.context.rng("fairness", "groups", *names)

    def params(self, attribute: str, **more: Param) -> dict[str, Param]:
        """Of every finding."""
        return {"part": "groups", "attribute": attribute, "k": self.context.cases[0].request.k, **more}

    @property
    def units(self) -> list[str]:
        """Ids of the cases."""
        return [case.id for case in self.context.cases]


def served(cases: Sequence[Case], answers: Sequence[Answer], measures: Sequence[Measure]) -> dict[Measure, Floats]:
    """How well each user was served.

    An answer that cannot be read, and a refusal, is worth 0.

    Returns:
        By measure, one value per case, 0 to 1; NaN where the case has no such value.
    """
    if cases[0].request.task == "rank":
        outcomes = rank_outcomes(cases, answers)
        every: dict[Measure, Floats] = {"ndcg": outcomes.ndcg, "hr": outcomes.hit.astype(float)}
        if "recall" in measures:
            every["recall"] = np.array([_recall(case, answer) for case, answer in zip(cases, answers, strict=True)])
        return {m: every[m] for m in measures}
    scored = score_outcomes(cases, answers)
    rows = np.bincount(scored.case, minlength=len(cases))
    right = np.bincount(scored.case, weights=scored.right.astype(float), minlength=len(cases)) / np.maximum(rows, 1)
    found: dict[Measure, Floats] = {"right": right}
    if "uauc" in measures:
        within = []
        for i in range(len(cases)):
            labels, scores = scored.labels[scored.case == i], scored.scores[scored.case == i]
            within.append(auc(scores, labels) if len(set(labels.tolist())) == 2 else np.nan)
        found["uauc"] = np.array(within)
    return {m: found[m] for m in measures}


def _recall(case: Case, answer: Answer) -> float:
    k = case.request.k
    ids = answer.ids[:k] if answer.outcome == "ok" else ()
    found = sum(metrics.hit_rate(ids, {item}, k) for item in case.relevant) if ids else 0.0
    return found / len(case.relevant)
