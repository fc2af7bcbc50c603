"""What an attack cost and how visible it is, and its success against the queries it had spent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit import stats
from audit.attack import Stealth, stealth
from audit.edits import TextEdit
from audit.modules.base import Context
from audit.modules.robustness.cells import Cell
from audit.modules.robustness.comparison import losses
from audit.modules.robustness.panel import Panel

CURVE = (5, 10, 20, 50, 100, 200, 500, 1000)
"""True queries at which the curve of a search is read, as far as they lie within its budget."""

COST_METRICS = ("queries", "edits", "text_similarity", "odd_characters", "ndcg_drop_at", "flip_rate_at")


def costs(panel: Panel) -> None:
    """Report edits, stealth on the edited fields alone, and true queries, over the users that were attacked."""
    requests = panel.comparison.context.requests
    arms = [draw.arm for draw in panel.arm.draws]
    seen = [
        (i, stealth(request, arm.edits[i]), any(isinstance(e, TextEdit) for e in arm.edits[i]))
        for arm in arms
        for i, request in enumerate(requests)
        if arm.edits[i]
    ]
    found = [(i, float(f.queries)) for draw in panel.arm.draws for i, f in enumerate(draw.found)]
    _add(panel, "queries", "true queries of the search", found)
    _add(panel, "edits", "edits", [(i, float(s.edits)) for i, s, _ in seen])
    texts = [(i, s) for i, s, text in seen if text]
    _add(panel, "text_similarity", "similarity of the edited text", [(i, s.similarity) for i, s in texts], 1.0)
    if any(s.odd_characters for _, s in texts):
        _add(panel, "odd_characters", "characters no person would type", [(i, _odd(s)) for i, s in texts])


def _odd(seen: Stealth) -> float:
    return float(seen.odd_characters)


def _add(panel: Panel, metric: str, what: str, values: Sequence[tuple[int, float]], most: float | None = None) -> None:
    if not values:
        return
    by_case: dict[int, list[float]] = {}
    for i, value in values:
        by_case.setdefault(i, []).append(value)
    means = np.array([np.mean(v) for v in by_case.values()])
    if len(means) < 2:
        return
    bounds = (0.0, most if most is not None else float(means.max()) or 1.0)
    panel.card.add(
        metric,
        panel.titled(what),
        stats.mean_interval(
            means, rng=panel.rng(metric), level=panel.card.level, resamples=panel.card.resamples, bounds=bounds
        ),
        n=len(means),
        direction="neither",
        params=panel.params,
        note=f"from {means.min():.3g} to {means.max():.3g} a user",
    )


def curve(panel: Panel, cell: Cell, context: Context) -> None:
    """Report how much was lost by the best edits the search had seen after 5, 10, 20, … true queries.

    For an attack that combines its finds at the end (CheatAgent inserts three winners together) the curve shows the
    best single try, and the end of it lies above.
    """
    for queries in (q for q in CURVE if q < cell.budget):
        runs = cell.at(context, panel.arm, queries)
        if context.task == "rank":
            metric, what = "ndcg_drop_at", f"NDCG@{context.cases[0].request.k} lost after {queries} queries"
        else:
            metric, what = "flip_rate_at", f"right decisions turned wrong after {queries} queries"
        lost = losses(panel.comparison, runs)
        valid = panel.comparison.ranks.valid if context.task == "rank" else panel.comparison.scores.valid
        if valid.sum() < 2:
            return
        panel.card.add(
            metric,
            panel.titled(what),
            stats.mean_interval(
                lost[valid],
                rng=panel.rng(f"{metric}/{queries}"),
                level=panel.card.level,
                resamples=panel.card.resamples,
                bounds=(-1.0, 1.0),
            ),
            n=int(valid.sum()),
            direction="neither",
            params={**panel.params, "queries": queries},
        )
