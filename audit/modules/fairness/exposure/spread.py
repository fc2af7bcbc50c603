"""How exposure is spread over all items of the catalogue, beside random lists and trivial recommenders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from audit import stats
from audit.findings import Direction
from audit.modules.fairness.exposure.desk import Desk
from audit.modules.fairness.exposure.lists import Lists
from audit.modules.outcomes import Bools, Floats
from audit.modules.report_card import mde_of

RANDOM = "random lists"


def outside(desk: Desk) -> None:
    """Exposure that went to something outside the catalogue."""
    lists = desk.shown.lists
    whole = lists.outside + lists.totals
    share = lists.outside / np.where(whole > 0, whole, 1.0)
    shown = [
        desk.sheet.show(
            desk.shown.cases[i].id,
            "Entries outside the catalogue",
            desk.shown.cases[i].request,
            f"{share[i]:.0%} of the exposure of this list goes to entries that match no item",
        )
        for i in np.argsort(-share, kind="stable")[: desk.sheet.examples].tolist()
        if share[i] > 0
    ]
    desk.explored.add(
        "outside_share",
        "Share of exposure that goes to entries outside the catalogue",
        stats.mean_interval(
            share, rng=desk.rng("outside"), level=desk.context.level, resamples=desk.primary.resamples, bounds=(0, 1)
        ),
        n=desk.n,
        direction="higher_is_worse",
        params={**desk.params, "discount": desk.shown.discount},
        note=desk.say(f"{int((lists.outside > 0).sum())} of {desk.n} lists have such an entry"),
        evidence=shown,
        values=desk.shown.by_unit(share),
    )


def judge(desk: Desk, *, head: float) -> None:
    """Gini coefficient, coverage and tail coverage.

    Args:
        desk: the run.
        head: share of the items, most popular first, that is the head.
    """
    tail = tail_of(desk.popularity, head)
    lists = desk.shown.lists
    if not lists.lengths.sum():
        for metric in ("gini", "coverage", "tail_coverage"):
            desk.explored.skip(metric, "Spread over the catalogue", "no listed item is in the catalogue", **desk.params)
        return
    chance = _random_counts(desk)
    everything = np.ones(lists.catalogue, dtype=bool)
    _over_items(
        desk,
        "gini",
        "Gini coefficient of recommendations over all items of the catalogue",
        stats.gini_unit_values(lists.items, lists.catalogue),
        stats.gini_rows(chance),
        {name: stats.gini_unit_values(rival.items, lists.catalogue) for name, rival in _listing(desk.rivals)},
        "items that are never listed count as zeros",
    )
    for metric, what, wanted in (
        ("coverage", "the catalogue", everything),
        ("tail_coverage", f"the long tail (all but the top {head:.0%} by popularity)", tail),
    ):
        if not wanted.any():
            desk.explored.skip(metric, f"Share of {what} that any list reaches", "it has no item", **desk.params)
            continue
        _over_items(
            desk,
            metric,
            f"Share of {what} that any list reaches",
            stats.reached_unit_values(lists.items, wanted),
            (chance[:, wanted] > 0).mean(axis=1),
            {name: stats.reached_unit_values(rival.items, wanted) for name, rival in _listing(desk.rivals)},
            f"{int(lists.lengths.sum())} places for {int(wanted.sum())} items",
        )


def tail_of(popularity: Floats, head: float) -> Bools:
    """(items,) which items are in the long tail: all but the most popular `head` share; ties in catalogue order."""
    order = np.argsort(-popularity, kind="stable")
    tail = np.ones(len(order), dtype=bool)
    tail[order[: round(head * len(order))]] = False
    return tail


def _listing(rivals: Mapping[str, Lists]) -> list[tuple[str, Lists]]:
    return [(name, rival) for name, rival in rivals.items() if rival.lengths.sum()]


def _random_counts(desk: Desk) -> Floats:
    """(draws, items) how often uniform random lists of the same lengths name each item."""
    shown, lists = desk.shown, desk.shown.lists
    rng = desk.rng("random lists")
    if shown.offered is None:
        sizes = np.full(desk.n, lists.catalogue)
    else:
        sizes = np.array([len(items) for items in shown.offered])
    lengths = np.minimum(lists.lengths, sizes)
    counts = np.zeros((desk.draws, lists.catalogue))
    offered = shown.offered
    if offered is not None:
        starts, pool = np.cumsum(sizes) - sizes, np.concatenate(offered)
    for draw in range(desk.draws):
        places = stats.random_lists(lengths, sizes, rng=rng, draws=1)[0]
        picked = places[places >= 0] if offered is None else pool[(places + starts[:, None])[places >= 0]]
        counts[draw] = np.bincount(picked, minlength=lists.catalogue)
    return counts


def _over_items(
    desk: Desk,
    metric: str,
    title: str,
    values: Floats,
    chance: Floats,
    rivals: Mapping[str, Floats],
    note: str,
) -> None:
    """A quantity of all lists together, held against random lists and against each rival's lists.

    Both sides have the same number of lists: without that, neither inequality nor coverage can be compared.
    """
    worse: Direction = "higher_is_worse" if metric == "gini" else "higher_is_better"
    interval = stats.jackknife_interval(values, level=desk.context.level, bounds=(0.0, 1.0))
    floor = float(chance.mean())
    apart = np.abs(chance - floor)
    seen = abs(interval.estimate - floor)
    source = "" if desk.shown.offered is None else " of the candidates"
    desk.explored.add(
        metric,
        title,
        interval,
        n=desk.n,
        direction=worse,
        params={**desk.params, "against": RANDOM},
        floor=floor,
        effect=stats.jackknife_interval(values - floor, level=desk.context.level),
        test=f"simulation of uniform random lists{source}",
        p=float((1 + np.count_nonzero(apart >= seen - 1e-12)) / (1 + desk.draws)),
        note=desk.say(note, f"uniform random lists{source} come to {floor:.3f}"),
        values=desk.shown.by_unit(values - floor),
    )
    for name, theirs in rivals.items():
        gap = values - theirs
        desk.explored.add(
            metric,
            f"{title}, beside {name}",
            interval,
            n=desk.n,
            direction=worse,
            params={**desk.params, "against": name},
            floor=float(theirs.mean()),
            effect=stats.jackknife_interval(gap, level=desk.context.level),
            test="studentised bootstrap over users, paired",
            p=stats.mean_test(gap, rng=desk.rng(metric, name)),
            mde=mde_of(gap),
            note=desk.say(f"target {interval.estimate:.3f}, {name} {theirs.mean():.3f} for the same users"),
            values=desk.shown.by_unit(gap),
        )
