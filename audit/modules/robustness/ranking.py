"""Robustness of rankings."""

from __future__ import annotations

import numpy as np

from audit import stats
from audit.modules.outcomes import RankOutcomes, rank_outcomes
from audit.modules.robustness.panel import Panel

MIN_HITS = 10
"""Clean hits below which a drop relative to them says nothing: the gain or loss of one user moves it by a tenth."""


def compare(panel: Panel) -> None:
    """Report what one arm did to the rankings.

    ASR is the relative drop of NDCG@k over all users, 1 - attacked / clean, as the authors of CheatAgent define it. It
    is no frequency of success; flip and gain rates are, among the users whom the clean list served and among those whom
    it did not.
    """
    cases = panel.comparison.context.cases
    k = cases[0].request.k
    clean = panel.comparison.ranks
    after = rank_outcomes(cases, panel.arm.answers)
    base = rank_outcomes(cases, panel.floor.answers) if panel.floor else None
    users = np.array([case.unit for case in cases])
    if base is not None:
        _asr(panel, clean, after, base, k)
    floor_drop = clean.ndcg - base.ndcg if base else None
    panel.mean("ndcg_drop", f"NDCG@{k} lost", clean.ndcg - after.ndcg, floor_drop, (-1.0, 1.0), among=clean.valid)
    # A list that became unreadable neither holds nor lacks the item: it is counted under invalid_rate, not here.
    readable = clean.valid & after.valid & (base.valid if base else clean.valid)
    panel.share(
        "flip_rate",
        f"clean hits lost from the first {k}",
        readable & clean.hit,
        ~after.hit,
        ~base.hit if base else None,
        users,
        "higher_is_worse",
    )
    if base is not None:
        missed = readable & ~clean.hit
        panel.share("gain_rate", "clean misses that became hits", missed, after.hit, base.hit, users, "neither")
    for metric, what, moved, floor in (
        ("rbo_loss", "order moved (1 − RBO)", clean.rbo_loss(after), clean.rbo_loss(base) if base else None),
        (
            "jaccard_loss",
            "items exchanged (1 − Jaccard)",
            clean.jaccard_loss(after),
            clean.jaccard_loss(base) if base else None,
        ),
    ):
        panel.mean(metric, what, moved, floor, (0.0, 1.0), among=clean.valid)
    panel.invalid(clean.valid, after.valid)


def _asr(panel: Panel, clean: RankOutcomes, after: RankOutcomes, base: RankOutcomes, k: int) -> None:
    title = panel.titled(f"relative drop of NDCG@{k}")
    hits = int(clean.hit.sum())
    if hits < MIN_HITS:
        reason = f"{hits} clean lists hold the next item; a relative drop needs at least {MIN_HITS}"
        panel.card.skip("asr", title, reason, **panel.params)
        return
    level = panel.card.level
    panel.card.add(
        "asr",
        title,
        stats.relative_drop(clean.ndcg, after.ndcg, rng=panel.rng("asr"), level=level, resamples=panel.card.resamples),
        n=len(clean.ndcg),
        direction="higher_is_worse",
        params=panel.params,
        floor=float(1 - base.ndcg.sum() / clean.ndcg.sum()),
        effect=stats.ratio_interval(
            base.ndcg - after.ndcg, clean.ndcg, rng=panel.rng("asr/effect"), level=level, resamples=panel.card.resamples
        ),
        note=panel.noted(f"NDCG@{k} {clean.ndcg.mean():.3f} → {after.ndcg.mean():.3f}"),
        evidence=panel.evidence,
    )
