"""Robustness of rankings."""

from __future__ import annotations

import numpy as np

from audit import stats
from audit.modules.outcomes import Floats, RankOutcomes, rank_outcomes
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
    afters = [rank_outcomes(cases, draw.answers) for draw in panel.arm.draws]
    base = rank_outcomes(cases, panel.floor.answers) if panel.floor else None
    ndcg = np.mean([after.ndcg for after in afters], axis=0)
    if base is not None:
        _asr(panel, clean, ndcg, base, k)
    floor_drop = clean.ndcg - base.ndcg if base else None
    panel.mean("ndcg_drop", f"NDCG@{k} lost", clean.ndcg - ndcg, floor_drop, (-1.0, 1.0), among=clean.valid)
    # A list that became unreadable neither holds nor lacks the item: it is counted under invalid_rate, not here.
    seen = clean.valid & base.valid if base else clean.valid
    readable = np.concatenate([seen & after.valid for after in afters])
    hit = np.concatenate([after.hit for after in afters])
    times = len(afters)
    users, clean_hit = np.tile([case.unit for case in cases], times), np.tile(clean.hit, times)
    floor_hit = np.tile(base.hit, times) if base else None
    panel.share(
        "flip_rate",
        f"clean hits lost from the first {k}",
        readable & clean_hit,
        ~hit,
        ~floor_hit if floor_hit is not None else None,
        users,
        "higher_is_worse",
    )
    if floor_hit is not None:
        missed = readable & ~clean_hit
        panel.share("gain_rate", "clean misses that became hits", missed, hit, floor_hit, users, "neither")
    for metric, what, loss in (
        ("rbo_loss", "order moved (1 − RBO)", RankOutcomes.rbo_loss),
        ("jaccard_loss", "items exchanged (1 − Jaccard)", RankOutcomes.jaccard_loss),
    ):
        moved = np.mean([loss(clean, after) for after in afters], axis=0)
        panel.mean(metric, what, moved, loss(clean, base) if base else None, (0.0, 1.0), among=clean.valid)
    panel.invalid(clean.valid, np.array([after.valid for after in afters]))


def _asr(panel: Panel, clean: RankOutcomes, after: Floats, base: RankOutcomes, k: int) -> None:
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
        stats.relative_drop(clean.ndcg, after, rng=panel.rng("asr"), level=level, resamples=panel.card.resamples),
        n=len(clean.ndcg),
        direction="higher_is_worse",
        params=panel.params,
        floor=float(1 - base.ndcg.sum() / clean.ndcg.sum()),
        effect=stats.ratio_interval(
            base.ndcg - after, clean.ndcg, rng=panel.rng("asr/effect"), level=level, resamples=panel.card.resamples
        ),
        note=panel.noted(f"NDCG@{k} {clean.ndcg.mean():.3f} → {after.mean():.3f}"),
        evidence=panel.evidence,
    )
