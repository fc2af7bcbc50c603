"""What a defense costs when nobody attacks: quality, refusals, calls and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from audit import stats
from audit.defense import Defense
from audit.findings import Param
from audit.modules.outcomes import Floats, score_outcomes
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.robustness.defended.sides import Side
from audit.stats import Interval
from audit.types import Answer

UPKEEP_METRICS = ("clean_utility", "utility_cost", "false_alarm_rate", "calls_per_answer", "latency_multiplier")


def clean_utility(side: Side, title: str, card: ReportCard) -> None:
    """Report what the clean answers of one side are worth."""
    rng = side.context.rng("robustness", "matrix", str(side.defense), "clean")
    card.add(
        "clean_utility",
        f"{title}: {_what(side)} without any attack",
        stats.mean_interval(side.utility, rng=rng, level=card.level, resamples=card.resamples, bounds=(0.0, 1.0)),
        n=len(side.utility),
        direction="higher_is_better",
        params={"defense": side.defense, **_k(side)},
    )


def upkeep(side: Side, bare: Side, defense: Defense, card: ReportCard) -> None:
    """Report what the defense costs on clean requests, paired by user with the bare target.

    Args:
        side: the defended target.
        bare: the bare one.
        defense: for titles.
        card: collects the findings.
    """
    title, params = defense.info.title, {"defense": side.defense, **_k(side)}
    rng = side.context.rng("robustness", "matrix", str(side.defense), "upkeep")
    ranking = side.context.cases[0].request.task == "rank"
    clean_utility(side, title, card)
    lost = bare.utility - side.utility
    card.add(
        "utility_cost",
        f"{title}: {_what(side)} lost without any attack",
        stats.paired_difference(
            bare.utility, side.utility, rng=rng, level=card.level, resamples=card.resamples, bounds=(-1.0, 1.0)
        ),
        n=len(lost),
        direction="higher_is_worse",
        params={**params, "measure": "ndcg" if ranking else "accuracy"},
        test="paired permutation, two-sided",
        p=stats.paired_permutation(bare.utility, side.utility, rng=rng),
        mde=mde_of(lost),
        note=f"{bare.utility.mean():.3f} → {side.utility.mean():.3f}",
        values=dict(zip([case.id for case in side.context.cases], lost.tolist(), strict=True)),
    )
    if not ranking:
        _auc_cost(side, bare, title, params, card, rng)
    _false_alarms(side, bare, title, params, card)
    _costs(side, bare, title, params, card, rng)


def _what(side: Side) -> str:
    request = side.context.cases[0].request
    return f"NDCG@{request.k}" if request.task == "rank" else "share of right decisions"


def _k(side: Side) -> dict[str, Param]:
    request = side.context.cases[0].request
    return {"k": request.k} if request.task == "rank" else {}


def _auc_cost(
    side: Side, bare: Side, title: str, params: dict[str, Param], card: ReportCard, rng: np.random.Generator
) -> None:
    cases = side.context.cases
    ours, theirs = score_outcomes(cases, side.clean), score_outcomes(cases, bare.clean)
    rows = ours.rows & theirs.rows
    params = {**params, "measure": "auc"}
    if len(set(ours.labels[rows].tolist())) < 2 or len(set(ours.users[rows].tolist())) < 2:
        reason = "the readable scores belong to one class of labels or to one user only"
        card.skip("utility_cost", f"{title}: pooled AUC lost", reason, **params)
        return
    before, after = (stats.auc(one.scores[rows], one.labels[rows]) for one in (theirs, ours))
    card.add(
        "utility_cost",
        f"{title}: pooled AUC lost without any attack",
        stats.paired_auc_difference(
            theirs.scores[rows],
            ours.scores[rows],
            ours.labels[rows],
            ours.users[rows],
            rng=rng,
            level=card.level,
            resamples=card.resamples,
        ),
        n=len(set(ours.users[rows].tolist())),
        direction="higher_is_worse",
        params=params,
        note=f"{before:.3f} → {after:.3f}",
    )


def _false_alarms(side: Side, bare: Side, title: str, params: dict[str, Param], card: ReportCard) -> None:
    """Clean requests that the bare target answers and the defended one does not: each is a user without an answer."""
    answered = [a.outcome == "ok" for a in bare.clean]
    refused = sum(ok and a.outcome != "ok" for ok, a in zip(answered, side.clean, strict=True))
    if not any(answered):
        reason = "the bare target answers no clean request"
        card.skip("false_alarm_rate", f"{title}: clean requests left without an answer", reason, **params)
        return
    card.add(
        "false_alarm_rate",
        f"{title}: clean requests left without an answer",
        stats.wilson(refused, sum(answered), card.level),
        n=sum(answered),
        direction="higher_is_worse",
        params=params,
        note=f"{refused} of {sum(answered)}",
    )


def _costs(
    side: Side, bare: Side, title: str, params: dict[str, Param], card: ReportCard, rng: np.random.Generator
) -> None:
    calls = np.array([float(max(a.usage.calls, 1)) for a in side.clean])
    card.add(
        "calls_per_answer",
        f"{title}: calls of the target behind one answer",
        stats.ratio_interval(calls, np.ones_like(calls), rng=rng, level=card.level, resamples=card.resamples),
        n=len(calls),
        direction="neither",
        params=params,
        note=f"from {calls.min():g} to {calls.max():g}",
    )
    what = f"{title}: time of an answer, as a multiple of the bare target's"
    ratio = _ratio(side.clean, bare.clean, lambda a: a.usage.seconds, card, rng)
    if ratio is None:
        card.skip("latency_multiplier", what, "the answers do not say how long they took", **params)
        return
    seconds = np.array([a.usage.seconds for a in side.clean])
    card.add(
        "latency_multiplier",
        what,
        ratio,
        n=len(calls),
        direction="neither",
        params=params,
        note=f"p50 {np.quantile(seconds, 0.5):.3g} s, p95 {np.quantile(seconds, 0.95):.3g} s, batched as audited",
    )


def _ratio(
    ours: Sequence[Answer],
    theirs: Sequence[Answer],
    read: Callable[[Answer], float],
    card: ReportCard,
    rng: np.random.Generator,
) -> Interval | None:
    top, bottom = (_values(answers, read) for answers in (ours, theirs))
    if (top <= 0).any() or (bottom <= 0).any():
        return None
    return stats.ratio_interval(top, bottom, rng=rng, level=card.level, resamples=card.resamples)


def _values(answers: Sequence[Answer], read: Callable[[Answer], float]) -> Floats:
    return np.array([read(a) for a in answers], dtype=np.float64)
