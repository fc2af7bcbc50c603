"""Whether a defense that raises an alarm tells attacked requests from clean ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit import stats
from audit.defense import Defense, Detects
from audit.edits import apply
from audit.findings import Param
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard
from audit.modules.robustness.defended.rows import Pair
from audit.modules.robustness.defended.sides import Judged, Side
from audit.stats import Threshold
from audit.types import Request

DETECTOR_METRICS = ("detector_fpr", "detector_auroc", "detector_tpr")

RATES = (0.01, 0.001)
"""False-alarm rates at which the share of caught attacks is reported."""


def detection(detector: Detects, pairs: Sequence[Pair], side: Side, defense: Defense, card: ReportCard) -> None:
    """Report AUROC per attack and row, and the share caught at false-alarm rates of 1 % and 0.1 %.

    Thresholds come from clean requests of users who are not under audit; the false alarms that they raise on the clean
    requests under audit are reported beside them.

    Args:
        detector: the defended target.
        pairs: attacks that were run against it.
        side: the same target, for the clean requests.
        defense: for titles.
        card: collects the findings.
    """
    title = defense.info.title
    clean = _suspicion(detector, side.context.requests)
    others = side.context.validation()
    thresholds = {}
    if others:
        fresh = _suspicion(detector, others)
        thresholds = {rate: stats.threshold_at_fpr(fresh, rate) for rate in RATES}
    for rate in RATES:
        params: dict[str, Param] = {"defense": side.defense, "fpr": rate}
        what = f"{title}: clean requests above the threshold for {rate:.1%} false alarms"
        if rate not in thresholds:
            card.skip("detector_fpr", what, "every user is under audit; none is left to set a threshold on", **params)
            continue
        alarms = int((clean > thresholds[rate].value).sum())
        card.add(
            "detector_fpr",
            what,
            stats.wilson(alarms, len(clean), card.level),
            n=len(clean),
            direction="higher_is_worse",
            params=params,
            note=_promise(thresholds[rate], rate, len(others)),
        )
    for pair in pairs:
        for row, judged in {"undefended": pair.undefended, **pair.rows}.items():
            if row != "replay":  # the same edits as those of the row without the defense
                _row(
                    detector,
                    judged,
                    "replay" if row == "undefended" else row,
                    pair,
                    clean,
                    thresholds,
                    side,
                    title,
                    card,
                )


def _suspicion(detector: Detects, requests: Sequence[Request]) -> Floats:
    return np.asarray(detector.suspicion(requests), dtype=np.float64)


def _promise(threshold: Threshold, rate: float, n: int) -> str:
    if threshold.fpr <= rate:
        return f"threshold {threshold.value:.4g} from {n} other users"
    return (
        f"{n} other users cannot promise {rate:.1%}; "
        f"their largest value, {threshold.value:.4g}, promises {threshold.fpr:.1%}"
    )


def _row(
    detector: Detects,
    judged: Judged,
    row: str,
    pair: Pair,
    clean: Floats,
    thresholds: dict[float, Threshold],
    side: Side,
    title: str,
    card: ReportCard,
) -> None:
    cases = side.context.cases[: judged.n]
    edits = judged.arms[0].edits
    edited = [i for i in range(judged.n) if edits[i]]
    params: dict[str, Param] = {"attack": pair.cell.name, "defense": side.defense, "row": row, **pair.cell.params}
    what = f"{title}: alarm at {pair.cell.title}, {row}"
    if len(edited) < 2:
        card.skip("detector_auroc", what, "fewer than two requests were edited", **params)
        return
    attacked = _suspicion(detector, [apply(edits[i], cases[i].request) for i in edited])
    users = np.array([cases[i].unit for i in edited])
    rng = side.context.rng("robustness", "matrix", str(side.defense), pair.cell.id, row, "detector")
    card.add(
        "detector_auroc",
        f"{what}: AUROC",
        stats.auc_interval(
            np.concatenate([attacked, clean[edited]]),
            np.repeat([1, 0], len(edited)),
            np.concatenate([users, users]),
            rng=rng,
            level=card.level,
            resamples=card.resamples,
        ),
        n=len(edited),
        direction="higher_is_better",
        params=params,
        note="each attacked request beside its own clean form",
    )
    for rate, threshold in thresholds.items():
        caught = int((attacked > threshold.value).sum())
        card.add(
            "detector_tpr",
            f"{what}: caught at {rate:.1%} false alarms",
            stats.wilson(caught, len(edited), card.level),
            n=len(edited),
            direction="higher_is_better",
            params={**params, "fpr": rate},
            note=_promise(threshold, rate, len(side.context.validation())),
        )
