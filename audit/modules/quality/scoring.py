"""Quality of scores: pooled AUC and UAUC beside the untrained anchors, calibration, and what the history adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from audit import stats
from audit.findings import Param
from audit.modules.outcomes import Floats, ScoreOutcomes, order_of, score_outcomes
from audit.modules.quality.anchors import score_anchors
from audit.modules.quality.sheet import QualitySheet, done
from audit.types import Answer

_SAME = 1e-3
"""Part of a score by which two of them may differ and still count as one."""


def judge(sheet: QualitySheet, clean: Sequence[Answer]) -> None:
    """Report the quality of the clean scores."""
    context, card = sheet.context, sheet.card
    outcomes = score_outcomes(context.cases, clean)
    params: dict[str, Param] = {"protocol": str(context.protocol.get("name", ""))}
    total, users = len(context.cases), int(outcomes.valid.sum())
    card.add(
        "unparsable_rate",
        "Cases without a score for every candidate",
        stats.wilson(total - users, total, card.level),
        n=total,
        direction="higher_is_worse",
        params={"task": "score"},
        note=f"{total - users} of {total}",
    )
    rows = outcomes.rows
    scores, labels, who = outcomes.scores[rows], outcomes.labels[rows], outcomes.users[rows]
    if len(set(labels.tolist())) < 2:
        reason = "the scored cases hold only one class of labels, so there is nothing to tell apart"
        for metric in ("auc", "uauc", "calibration_error", "lift_over_anchor", "history_use", "history_change_rate"):
            card.skip(metric, metric, reason)
        return
    card.add(
        "auc",
        "Pooled AUC: liked items score above disliked ones, over all users",
        stats.auc_interval(scores, labels, who, rng=context.rng("quality", "auc"), level=card.level),
        n=users,
        direction="higher_is_better",
        params=params,
        note=f"{len(scores)} judged items, {labels.mean():.0%} liked",
        evidence=_examples(sheet, outcomes),
    )
    _uauc(sheet, scores, labels, who, params)
    _calibration(sheet, scores, labels, who, params)
    for name, guesses in score_anchors(context).items():
        against: dict[str, Param] = {"anchor": name, **params}
        _gap(sheet, "lift_over_anchor", f"above {name}", outcomes, guesses, rows, against, name)
    for arm in sheet.ablations():
        ablated = score_outcomes(context.cases, arm.answers(context))
        both = rows & ablated.rows
        title = f"lost when the history is {done(arm)}"
        lost: dict[str, Param] = {"ablation": arm.id}
        _gap(sheet, "history_use", title, outcomes, ablated.scores, both, lost, f"history {done(arm)}")
        sheet.moved(arm, order_of(outcomes, context.cases).rbo_loss(order_of(ablated, context.cases)))
        sheet.changed(arm, _others(outcomes, ablated), outcomes.valid | ablated.valid)


def _others(mine: ScoreOutcomes, ablated: ScoreOutcomes) -> npt.NDArray[np.bool_]:
    """(cases,) whether any score of a case became another one, or only one side has scores.

    Scores and not orders, for a case may have a single candidate. They are the same where they agree to three digits:
    the same question in another batch differs behind that.
    """
    same = np.isclose(mine.scores, ablated.scores, rtol=_SAME, atol=_SAME**2)
    moved = np.bincount(mine.case[~same], minlength=len(mine.valid)) > 0
    others: npt.NDArray[np.bool_] = (mine.valid != ablated.valid) | (mine.valid & ablated.valid & moved)
    return others


def _uauc(
    sheet: QualitySheet,
    scores: Floats,
    labels: npt.NDArray[np.int64],
    who: npt.NDArray[np.str_],
    params: Mapping[str, Param],
) -> None:
    title = "UAUC: liked items score above disliked ones, within a user"
    try:
        interval = stats.uauc_interval(
            scores, labels, who, rng=sheet.context.rng("quality", "uauc"), level=sheet.card.level
        )
    except ValueError as error:  # no user has both classes
        sheet.card.skip("uauc", title, str(error), **params)
        return
    both = stats.uauc(scores, labels, who)[1]
    sheet.card.add(
        "uauc",
        title,
        interval,
        n=both,
        direction="higher_is_better",
        params=params,
        note=f"mean over the {both} users with both classes; .5 means that only the user's mean is known",
    )


def _calibration(
    sheet: QualitySheet,
    scores: Floats,
    labels: npt.NDArray[np.int64],
    who: npt.NDArray[np.str_],
    params: Mapping[str, Param],
) -> None:
    title = "Expected calibration error of P(yes), ten bins of equal mass"
    if scores.min() < 0 or scores.max() > 1:
        sheet.card.skip("calibration_error", title, "the scores are not probabilities between 0 and 1", **params)
        return
    unit = np.unique(who, return_inverse=True)[1]

    def errors(weights: Floats) -> Floats:
        drawn = weights[:, unit].astype(int)
        return np.array([stats.expected_calibration_error(np.repeat(scores, w), np.repeat(labels, w)) for w in drawn])

    sheet.card.add(
        "calibration_error",
        title,
        stats.bootstrap(
            errors,
            int(unit.max()) + 1,
            rng=sheet.context.rng("quality", "calibration"),
            level=sheet.card.level,
            resamples=500,
            method="percentile",
            width=len(scores),
        ),
        n=int(unit.max()) + 1,
        direction="higher_is_worse",
        params=params,
        note="biased upwards: with few rows even a perfect forecast shows an error above 0",
    )


def _gap(
    sheet: QualitySheet,
    metric: str,
    what: str,
    mine: ScoreOutcomes,
    other: Floats,
    rows: npt.NDArray[np.bool_],
    params: Mapping[str, Param],
    name: str,
) -> None:
    """AUC and UAUC of the target minus those of other scores on the same items; higher is better."""
    labels, who = mine.labels[rows], mine.users[rows]
    scores, others = mine.scores[rows], other[rows]
    for kind, label, difference in (
        ("auc", "Pooled AUC", stats.paired_auc_difference),
        ("uauc", "UAUC", stats.paired_uauc_difference),
    ):
        rng = sheet.context.rng("quality", metric, name, kind)
        try:
            gap = difference(scores, others, labels, who, rng=rng, level=sheet.card.level)
        except ValueError as error:  # too few users, or one class only
            sheet.card.skip(metric, f"{label} {what}", str(error), **{**params, "metric": kind})
            continue
        if kind == "auc":
            values, n = (stats.auc(scores, labels), stats.auc(others, labels)), len(set(who.tolist()))
        else:
            (mine_value, n), (other_value, _) = stats.uauc(scores, labels, who), stats.uauc(others, labels, who)
            values = (mine_value, other_value)
        sheet.card.add(
            metric,
            f"{label} {what}",
            gap,
            n=n,
            direction="higher_is_better",
            params={**params, "metric": kind},
            note=f"target {values[0]:.3f}, {name} {values[1]:.3f} on the same items",
        )


def _examples(sheet: QualitySheet, outcomes: ScoreOutcomes) -> list[str]:
    shown = []
    for i, case in enumerate(sheet.context.cases[: sheet.examples]):
        rows = outcomes.scores[outcomes.case == i]
        judged = zip(case.request.candidates or (), rows, case.labels, strict=True)
        note = "; ".join(f"{item.title}: {s:.2f}, {'liked' if liked else 'not liked'}" for item, s, liked in judged)
        shown.append(sheet.show(case.id, "A clean request and its scores", case.request, note))
    return shown
