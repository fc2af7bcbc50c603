"""Robustness of scores and yes/no decisions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audit import stats
from audit.modules.outcomes import Bools, ScoreOutcomes, order_of, score_outcomes, stacked
from audit.modules.robustness.panel import Panel
from audit.stats import Interval


def compare(panel: Panel) -> None:
    """Report what one arm did to the scores.

    A drop of AUC is read against .5, so it is given as it is and not as a share. Flips are decisions at one half that
    were right and turned wrong; the rows of one user go together in every interval.
    """
    cases = panel.comparison.context.cases
    afters = [score_outcomes(cases, draw.answers) for draw in panel.arm.draws]
    floor = score_outcomes(cases, panel.floor.answers) if panel.floor else None
    # The draws of one user are rows of that user: every interval takes them together.
    clean, after = stacked([panel.comparison.scores] * len(afters)), stacked(afters)
    base = stacked([floor] * len(afters)) if floor else None
    rows = clean.rows & after.rows & (base.rows if base else clean.rows)
    if len(set(clean.labels[rows].tolist())) == 2:
        _drop(panel, "auc_drop", "pooled AUC lost", stats.paired_auc_difference, _auc, (clean, after, base), rows)
        _drop(panel, "uauc_drop", "UAUC lost", stats.paired_uauc_difference, _uauc, (clean, after, base), rows)
    else:
        title = panel.titled("pooled AUC lost")
        panel.card.skip("auc_drop", title, "the readable scores belong to one class of labels only", **panel.params)
    right = clean.right
    panel.share(
        "flip_rate",
        "right decisions turned wrong",
        rows & right,
        ~after.right,
        ~base.right if base else None,
        clean.users,
        "higher_is_worse",
    )
    if base is not None:
        panel.share(
            "gain_rate", "wrong decisions turned right", rows & ~right, after.right, base.right, clean.users, "neither"
        )
    order, valid = panel.comparison.order, panel.comparison.scores.valid
    panel.mean(
        "rbo_loss",
        "order of the candidates moved (1 − RBO)",
        np.mean([order.rbo_loss(order_of(one, cases)) for one in afters], axis=0),
        order.rbo_loss(order_of(floor, cases)) if floor else None,
        (0.0, 1.0),
        among=valid,
    )
    panel.invalid(valid, np.array([one.valid for one in afters]))


def _auc(outcomes: ScoreOutcomes, rows: Bools) -> float:
    return stats.auc(outcomes.scores[rows], outcomes.labels[rows])


def _uauc(outcomes: ScoreOutcomes, rows: Bools) -> float:
    return stats.uauc(outcomes.scores[rows], outcomes.labels[rows], outcomes.users[rows])[0]


def _drop(
    panel: Panel,
    metric: str,
    what: str,
    difference: Callable[..., Interval],
    value: Callable[[ScoreOutcomes, Bools], float],
    sides: tuple[ScoreOutcomes, ScoreOutcomes, ScoreOutcomes | None],
    rows: Bools,
) -> None:
    clean, after, base = sides
    labels, users, level = clean.labels[rows], clean.users[rows], panel.card.level
    try:
        estimate = difference(
            clean.scores[rows],
            after.scores[rows],
            labels,
            users,
            rng=panel.rng(metric),
            level=level,
            resamples=panel.card.resamples,
        )
        effect = (
            difference(
                base.scores[rows],
                after.scores[rows],
                labels,
                users,
                rng=panel.rng(metric),
                level=level,
                resamples=panel.card.resamples,
            )
            if base
            else None
        )
    except ValueError as error:  # too few users with both classes for a bootstrap
        panel.card.skip(metric, panel.titled(what), str(error), **panel.params)
        return
    panel.card.add(
        metric,
        panel.titled(what),
        estimate,
        n=len(set(users.tolist())),
        direction="higher_is_worse",
        params=panel.params,
        floor=value(clean, rows) - value(base, rows) if base else None,
        effect=effect,
        note=panel.noted(f"{value(clean, rows):.3f} → {value(after, rows):.3f}"),
        evidence=panel.evidence,
    )
