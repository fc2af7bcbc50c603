"""MGU and DGU: the gaps of IFairLRS between the shares of groups in lists and in histories."""

from __future__ import annotations

import numpy as np

from audit import stats
from audit.modules.fairness.exposure.columns import Column
from audit.modules.fairness.exposure.desk import Desk
from audit.modules.fairness.exposure.lists import sums_of
from audit.modules.outcomes import Floats

_CHANCE = {False: "lists drawn from each user's own history", True: "candidates in random order"}


def judge(desk: Desk, column: Column) -> None:
    """MGU and DGU over all groups of the column, in counts of memberships as IFairLRS counts them."""
    shown, member = desk.shown, column.member.astype(np.float64)
    heard = sums_of(shown.histories, member)
    titles = {
        "mgu": f"Mean gap between the shares of {column.name} in lists and in histories (MGU)",
        "dgu": f"Largest minus smallest gap between the shares of {column.name} in lists and in histories (DGU)",
    }
    if not heard.sum() or not shown.lists.lengths.sum():
        side = "listed item" if heard.sum() else "item of a history"
        for metric, title in titles.items():
            desk.explored.skip(metric, title, f"no {side} is in the catalogue", **desk.params, column=column.name)
        return
    listed = sums_of(shown.lists.items, member)
    chance = _chance_gaps(desk, member, heard)
    chart = sums_of(desk.rivals["popularity"].items, member)
    rival = stats.group_gap(chart.sum(axis=0)[None], heard.sum(axis=0)[None])
    for at, (metric, title) in enumerate(titles.items()):

        def gap(w: Floats, at: int = at) -> Floats:
            return stats.group_gap(w @ listed, w @ heard)[at]

        floor = float(chance[at].mean())
        values = stats.unit_values(gap, desk.n)
        # A bootstrap would correct for the very bias upwards that the floor is there to show.
        interval = stats.jackknife_interval(values, level=desk.context.level, bounds=(0.0, 2.0))
        desk.explored.add(
            metric,
            title,
            interval,
            n=desk.n,
            direction="higher_is_worse",
            params={**desk.params, "column": column.name, "against": _CHANCE[shown.offered is not None]},
            floor=floor,
            effect=stats.jackknife_interval(values - floor, level=desk.context.level),
            test=f"simulation: {_CHANCE[shown.offered is not None]}",
            p=float((1 + np.count_nonzero(chance[at] >= interval.estimate - 1e-12)) / (1 + desk.draws)),
            note=desk.say(
                f"{len(column.groups)} groups; a chart comes to {rival[at][0]:.3f}; "
                "counts of memberships, not weighted by place"
            ),
            values=desk.shown.by_unit(values - floor),
        )


def _chance_gaps(desk: Desk, member: Floats, heard: Floats) -> tuple[Floats, Floats]:
    """MGU and DGU of lists that follow chance, (draws,) each."""
    shown = desk.shown
    own = shown.histories if shown.offered is None else shown.offered
    rng = desk.rng("chance")
    kept = [(items, int(k)) for items, k in zip(own, shown.lists.lengths, strict=True) if len(items) and k]
    sizes = np.array([len(items) for items, _ in kept])
    lengths = np.array([k for _, k in kept])
    starts = np.cumsum(sizes) - sizes
    pool = np.concatenate([items for items, _ in kept]) if kept else np.zeros(0, dtype=np.int64)
    counts = np.zeros((desk.draws, len(member)))
    for draw in range(desk.draws):
        if shown.offered is None:
            # With replacement: a short history must be able to fill a list.
            who = np.repeat(np.arange(len(kept)), lengths)
            picked = pool[starts[who] + rng.integers(0, sizes[who])]
        else:
            places = stats.random_lists(np.minimum(lengths, sizes), sizes, rng=rng, draws=1)[0]
            picked = pool[(places + starts[:, None])[places >= 0]]
        counts[draw] = np.bincount(picked, minlength=len(member))
    return stats.group_gap(counts @ member, np.broadcast_to(heard.sum(axis=0), (desk.draws, member.shape[1])))
