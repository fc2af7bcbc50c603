"""How exposure is spread over all items, and how popular what is recommended is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from audit import stats
from audit.errors import ConfigError, nearest
from audit.findings import Direction, Param
from audit.modules.base import Context
from audit.modules.fairness.exposure.desk import Desk
from audit.modules.fairness.exposure.lists import Lists, means_of
from audit.modules.outcomes import Bools, Floats
from audit.modules.report_card import mde_of
from audit.stats import Interval
from audit.stats.differences import independent_difference
from audit.types import AttributeValue

RANDOM = "random lists"
_USERS = 30
"""Users below which a group of users is not reported."""
_LEVELS = 12


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
    """Gini coefficient, coverage, tail coverage, and the tail's share of lists.

    Args:
        desk: the run.
        head: share of the items, most popular first, that is the head.
    """
    tail = tail_of(desk.popularity, head)
    lists = desk.shown.lists
    if not lists.lengths.sum():
        for metric in ("gini", "coverage", "tail_coverage", "aplt"):
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
    own = desk.shown.histories if desk.shown.offered is None else desk.shown.offered
    against = "history" if desk.shown.offered is None else "offered"
    _per_user(
        desk,
        "aplt",
        f"Share of long-tail items in a list (APLT; tail: all but the top {head:.0%})",
        lists.means(tail.astype(np.float64)),
        {against: means_of(own, tail.astype(np.float64))}
        | {name: rival.means(tail.astype(np.float64)) for name, rival in desk.rivals.items()},
        "higher_is_better",
    )


def popularity(desk: Desk, user_groups: Sequence[str]) -> None:
    """ARP, popularity lift (also by group of users) and the shift of log popularity."""
    counts, lists = desk.popularity, desk.shown.lists
    listed, profile = lists.means(counts), means_of(desk.shown.histories, counts)
    own = {"history": profile}
    if desk.shown.offered is not None:
        own["offered"] = means_of(desk.shown.offered, counts)
    _per_user(
        desk,
        "arp",
        "Average popularity of recommended items (ARP)",
        listed,
        own | {name: rival.means(counts) for name, rival in desk.rivals.items()},
        "neither",
    )
    logs = np.log1p(counts)
    _shift(desk, lists.means(logs) - means_of(desk.shown.histories, logs))
    _lifts(desk, listed, profile, user_groups)


def check_attributes(context: Context, names: Sequence[str]) -> None:
    """Whether the users have these attributes.

    Raises:
        ConfigError: no user has one of them.
    """
    known = sorted({key for one in context.dataset.users.values() for key in one})
    for name in names:
        if name not in known:
            where = f"modules.fairness.exposure: user_groups: {name!r} is no attribute of the users"
            raise ConfigError(f"{where}; {nearest(name, known)}")


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


def _per_user(
    desk: Desk, metric: str, title: str, values: Floats, rivals: Mapping[str, Floats], direction: Direction
) -> None:
    """A mean over users, held against the same of something else for the same users."""
    for name, theirs in rivals.items():
        both = np.isfinite(values) & np.isfinite(theirs)
        params: dict[str, Param] = {**desk.params, "against": name}
        if both.sum() < 2:
            desk.explored.skip(
                metric, title, f"fewer than two users have both a list and a {name} to compare", **params
            )
            continue
        mine, other = values[both], theirs[both]
        gap = mine - other
        desk.explored.add(
            metric,
            f"{title}, beside {_BESIDE.get(name, name)}",
            _mean(desk, mine, metric),
            n=int(both.sum()),
            direction=direction,
            params=params,
            floor=float(other.mean()),
            effect=_mean(desk, gap, f"{metric} {name} gap"),
            test="studentised bootstrap over users, paired",
            p=stats.mean_test(gap, rng=desk.rng(metric, name)),
            mde=mde_of(gap),
            note=desk.say(f"{mine.mean():.4g} beside {other.mean():.4g}", desk.counted, _lost(desk, both)),
            values=_kept(desk, both, gap),
        )


_BESIDE = {"history": "the users' own histories", "offered": "what was offered"}


def _shift(desk: Desk, shift: Floats) -> None:
    title = "Shift of log popularity from histories to recommendations"
    both = np.isfinite(shift)
    if both.sum() < 2:
        desk.explored.skip(
            "log_popularity_shift", title, "fewer than two users have a list and a history", **desk.params
        )
        return
    desk.explored.add(
        "log_popularity_shift",
        title,
        _mean(desk, shift[both], "log shift"),
        n=int(both.sum()),
        direction="neither",
        params=desk.params,
        test="studentised bootstrap over users",
        p=stats.mean_test(shift[both], rng=desk.rng("log shift test")),
        mde=mde_of(shift[both]),
        note=desk.say("ln(1 + users who chose the item); 0 means no shift", desk.counted, _lost(desk, both)),
        values=_kept(desk, both, shift[both]),
    )


def _lifts(desk: Desk, listed: Floats, profile: Floats, user_groups: Sequence[str]) -> None:
    both = np.isfinite(listed) & np.isfinite(profile)
    title = "Popularity lift: recommended items over the users' own (ΔGAP)"
    if both.sum() < 2 or profile[both].sum() == 0:
        desk.explored.skip("popularity_lift", title, "no history holds an item that others chose", **desk.params)
        return
    _lift(desk, title, listed, profile, both, {**desk.params, "attribute": "", "group": "all"})
    for attribute in user_groups:
        labels = _labels([case.request.user.id for case in desk.shown.cases], desk, attribute)
        for level in sorted(set(labels)):
            members = both & (np.array(labels) == level)
            params = {**desk.params, "attribute": attribute, "group": level}
            name = f"{title}, {attribute} {level}"
            if members.sum() < _USERS or (both & ~members).sum() < _USERS:
                reason = f"{int(members.sum())} users in the group and {int((both & ~members).sum())} others; "
                desk.explored.skip("popularity_lift", name, f"{reason}at least {_USERS} of each are needed", **params)
                continue
            _lift(desk, name, listed, profile, members, params, rest=both & ~members)


def _lift(
    desk: Desk,
    title: str,
    listed: Floats,
    profile: Floats,
    members: Bools,
    params: Mapping[str, Param],
    rest: Bools | None = None,
) -> None:
    """One lift; beside that of the other users if there are others."""
    interval, values = _lift_of(
        desk, listed[members], profile[members], f"lift {params['attribute']} {params['group']}"
    )
    floor, effect, test = None, None, "studentised bootstrap over users"
    p = stats.mean_test(values, rng=desk.rng("lift test"))
    if rest is not None:
        others, theirs = _lift_of(desk, listed[rest], profile[rest], f"lift not {params['group']}")
        floor, effect = others.estimate, independent_difference(interval, others)
        test, p = (
            "studentised bootstrap over users, difference from the other users",
            _difference_test(desk, values, theirs),
        )
        values = values - others.estimate
    desk.explored.add(
        "popularity_lift",
        title,
        interval,
        n=int(members.sum()),
        direction="neither",
        params=params,
        floor=floor,
        effect=effect,
        test=test,
        p=p,
        note=desk.say(f"{listed[members].mean():.4g} beside {profile[members].mean():.4g}", desk.counted),
        values=_kept(desk, members, values),
    )


def _lift_of(desk: Desk, listed: Floats, profile: Floats, name: str) -> tuple[Interval, Floats]:
    def lift(w: Floats) -> Floats:
        result: Floats = (w @ listed) / (w @ profile) - 1.0
        return result

    ratio = listed.mean() / profile.mean()
    interval = stats.bootstrap(
        lift, len(listed), rng=desk.rng(name), level=desk.context.level, resamples=desk.primary.resamples
    )
    return interval, ratio - 1.0 + (listed - ratio * profile) / profile.mean()


def _difference_test(desk: Desk, a: Floats, b: Floats) -> float:
    """Whether two groups of users have the same mean: each group centred on its own mean, scaled to a difference."""
    n = len(a) + len(b)
    gap = a.mean() - b.mean()
    pull = np.concatenate([(a - a.mean()) * n / len(a), -(b - b.mean()) * n / len(b)])
    return stats.mean_test(gap + pull, rng=desk.rng("lift difference"))


def _labels(users: Sequence[str], desk: Desk, attribute: str) -> list[str]:
    """The group of each user; numbers with many levels in three ranges; without a value `(unknown)`."""
    known = desk.context.dataset.users
    found: list[AttributeValue | None] = [known.get(user, {}).get(attribute) for user in users]
    numbers = [v for v in found if isinstance(v, int | float)]
    if len(set(numbers)) > _LEVELS and len(numbers) == sum(v is not None for v in found):
        edges = np.quantile(np.array(numbers, dtype=np.float64), [1 / 3, 2 / 3], method="inverted_cdf").tolist()
        names = [f"up to {edges[0]:g}", f"over {edges[0]:g} to {edges[1]:g}", f"over {edges[1]:g}"]
        return [
            "(unknown)" if not isinstance(v, int | float) else names[int(np.searchsorted(edges, float(v), side="left"))]
            for v in found
        ]
    return ["(unknown)" if v is None or str(v).strip() == "" else str(v) for v in found]


def _mean(desk: Desk, values: Floats, name: str) -> Interval:
    return stats.mean_interval(values, rng=desk.rng(name), level=desk.context.level, resamples=desk.primary.resamples)


def _kept(desk: Desk, kept: Bools, values: Floats) -> dict[str, float]:
    return {unit: float(v) for unit, v in zip(np.array(desk.shown.units)[kept].tolist(), values, strict=True)}


def _lost(desk: Desk, kept: Bools) -> str:
    lost = desk.n - int(kept.sum())
    return f"{lost} users without an item of the catalogue on one side are left out" if lost else ""
