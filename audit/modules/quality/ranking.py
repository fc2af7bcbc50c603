"""Quality of rankings: HR@k, NDCG@k, MRR@k, against anchors on the same cases, and without the history."""

from __future__ import annotations

from collections.abc import Sequence

from audit import stats
from audit.findings import Param
from audit.modules.outcomes import Floats, RankOutcomes, rank_outcomes
from audit.modules.quality.sheet import QualitySheet, done
from audit.modules.report_card import mde_of
from audit.types import Answer


def judge(sheet: QualitySheet, clean: Sequence[Answer]) -> None:
    """Report the quality of the clean rankings."""
    context, card = sheet.context, sheet.card
    outcomes = rank_outcomes(context.cases, clean)
    k, n = context.cases[0].request.k, len(context.cases)
    params: dict[str, Param] = {"k": k, "protocol": str(context.protocol.get("name", ""))}
    hits = int(outcomes.hit.sum())
    card.add(
        "hr",
        f"HR@{k}: the next item is among the first {k}",
        stats.wilson(hits, n, card.level),
        n=n,
        direction="higher_is_better",
        params=params,
        note=f"{hits} of {n} users",
        evidence=_examples(sheet, outcomes),
        values=sheet.by_case(outcomes.hit.astype(float)),
    )
    for metric, values in (("ndcg", outcomes.ndcg), ("mrr", outcomes.reciprocal_rank)):
        interval = stats.mean_interval(values, rng=context.rng("quality", metric), level=card.level, bounds=(0.0, 1.0))
        card.add(
            metric,
            f"{metric.upper()}@{k}",
            interval,
            n=n,
            direction="higher_is_better",
            params=params,
            values=sheet.by_case(values),
        )
    for name, anchor in context.anchors().items():
        other = rank_outcomes(context.cases, anchor.recommend(context.requests))
        against: dict[str, Param] = {"anchor": name, "metric": "ndcg", **params}
        _gap(sheet, "lift_over_anchor", f"NDCG@{k} above {name}", outcomes, other, against, name)
    for arm in sheet.ablations():
        ablated = rank_outcomes(context.cases, arm.answers(context))
        title = f"NDCG@{k} lost when the history is {done(arm)}"
        lost: dict[str, Param] = {"ablation": arm.id, "metric": "ndcg", "k": k}
        _gap(sheet, "history_use", title, outcomes, ablated, lost, f"history {done(arm)}")
        losses = outcomes.rbo_loss(ablated)
        sheet.moved(arm, losses)
        sheet.changed(arm, losses > 0, outcomes.valid | ablated.valid)


def _gap(
    sheet: QualitySheet,
    metric: str,
    title: str,
    mine: RankOutcomes,
    other: RankOutcomes,
    params: dict[str, Param],
    name: str,
) -> None:
    """NDCG of the target minus NDCG of something else on the same cases; higher is better."""
    gap = mine.ndcg - other.ndcg
    rng = sheet.context.rng("quality", metric, name)
    sheet.card.add(
        metric,
        title,
        stats.mean_interval(gap, rng=rng, level=sheet.card.level, bounds=(-1.0, 1.0)),
        n=len(gap),
        direction="higher_is_better",
        params=params,
        test="paired permutation, one-sided",
        p=stats.paired_permutation(mine.ndcg, other.ndcg, rng=rng, alternative="greater"),
        mde=mde_of(gap),
        note=f"target {mine.ndcg.mean():.3f}, {name} {other.ndcg.mean():.3f} on the same cases",
        evidence=_worst(sheet, gap, f"NDCG {{:.2f}} more with {name}"),
        values=sheet.by_case(gap),
    )


def _worst(sheet: QualitySheet, gap: Floats, note: str) -> list[str]:
    """Cases in which the other side did better by most."""
    cases = sheet.context.cases
    order = sorted((i for i, lost in enumerate(gap) if lost < 0), key=lambda i: (gap[i], i))[: sheet.examples]
    title = "The other side was right, the target was not"
    return [sheet.show(cases[i].id, title, cases[i].request, note.format(-gap[i])) for i in order]


def _examples(sheet: QualitySheet, outcomes: RankOutcomes) -> list[str]:
    """Best and worst cases, so that a reader sees both sides."""
    cases, count = sheet.context.cases, sheet.examples
    order = sorted(range(len(cases)), key=lambda i: (-outcomes.reciprocal_rank[i], i))
    best, worst = order[: (count + 1) // 2], order[len(order) - count // 2 :]
    shown = []
    for i in dict.fromkeys([*best, *worst]):
        names = ", ".join(sheet.context.dataset.catalog[item].title for item in sorted(cases[i].relevant))
        found = outcomes.reciprocal_rank[i]
        where = f"is at rank {round(1 / found)}" if found else "is not in the list"
        note = f"the next item, {names}, {where}"
        shown.append(sheet.show(cases[i].id, "A clean request and its answer", cases[i].request, note))
    return shown
