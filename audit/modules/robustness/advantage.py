"""Attack against attack: is the clever one better than its rivals, on the same users and at the same budget?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audit import stats
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.robustness.cells import Cell
from audit.modules.robustness.comparison import Compared, Comparison, losses


def advantages(
    champion: str,
    cells: Sequence[Cell],
    done: Mapping[str, Compared],
    comparison: Comparison,
    card: ReportCard,
) -> None:
    """Compare one attack with every other, user by user.

    A rival without search is compared at every budget of the champion; one with a search at its own budget and in the
    same mode. The measure is what each user lost: NDCG@k for rankings, the share of right decisions turned wrong for
    scores, as a mean over seeds. Only users that both attacks were run on count.

    Args:
        champion: name of the attack whose advantage is asked for.
        cells: all cells.
        done: what they came to, by cell id.
        comparison: the clean side, for all users.
        card: collects the findings.
    """
    for ours in (c for c in cells if c.name == champion and c.id in done):
        for rival in cells:
            fair = rival.budget in (0, ours.budget) and rival.labels in (None, ours.labels)
            if rival.name != champion and fair and rival.id in done:
                _advantage(ours, rival, done, comparison, card)


def _advantage(ours: Cell, rival: Cell, done: Mapping[str, Compared], comparison: Comparison, card: ReportCard) -> None:
    n = min(len(done[ours.id].answers), len(done[rival.id].answers))
    stage = comparison.head(n)
    rank = stage.context.task == "rank"
    valid = stage.ranks.valid if rank else stage.scores.valid
    title = f"{ours.title}: more lost than under {rival.title}"
    # The same rival may stand here twice, drawn once and as a search: two findings, two identities.
    params = {"attack": ours.name, "over": rival.name, "over_budget": rival.budget, **ours.params}
    if valid.sum() < 2:
        card.skip("advantage", title, "fewer than two clean answers could be read", **params)
        return
    left, right = (
        losses(stage, [draw.answers for draw in done[cell.id].head(n).draws])[valid] for cell in (ours, rival)
    )
    rng = stage.context.rng("robustness", "advantage", ours.id, rival.id)
    difference = stats.paired_difference(
        left, right, rng=rng, level=card.level, resamples=card.resamples, bounds=(-2.0, 2.0)
    )
    card.add(
        "advantage",
        title,
        difference,
        n=int(valid.sum()),
        direction="neither",
        params=params,
        test="paired permutation, two-sided",
        p=stats.paired_permutation(left, right, rng=rng),
        mde=mde_of(left - right),
        note=f"{'NDCG lost' if rank else 'decisions turned'} {left.mean():.3f} against {right.mean():.3f}",
        values=dict(
            zip([c.id for c, v in zip(stage.context.cases, valid, strict=True) if v], left - right, strict=True)
        ),
    )
