"""How popular what is recommended is, beside the users' own histories, what was offered, and trivial recommenders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from audit import stats
from audit.errors import ConfigError, nearest
from audit.findings import Direction, Param
from audit.modules.base import Context
from audit.modules.fairness.exposure.desk import Desk
from audit.modules.fairness.exposure.lists import means_of
from audit.modules.fairness.exposure.spread import tail_of
from audit.modules.outcomes import Bools, Floats
from audit.modules.report_card import mde_of
from audit.stats import Interval
from audit.stats.differences import independent_difference
from audit.types import AttributeValue

_USERS = 30
"""Users below which a group of users is not reported."""
_LEVELS = 12
_BETTER: Direction = "higher_is_better"
_NEITHER: Direction = "neither"


def judge(desk: Desk, *, head: float, user_groups: Sequence[str]) -> None:
    """The long tail's share of lists, ARP, the shift of log popularity, and the popularity lift.

    Args:
        desk: the run.
        head: share of the items, most popular first, that is the head.
        user_groups: attributes by whose values the lift is reported too.
    """
    shown, lists, counts = desk.shown, desk.shown.lists, desk.popularity
    tail, logs = tail_of(counts, head).astype(np.float64), np.log1p(counts)
    own = {"history": shown.histories} | ({} if shown.offered is None else {"offered": shown.offered})
    measures: tuple[tuple[str, str, Floats, tuple[float, float] | None, Direction], ...] = (
        ("aplt", f"Share of long-tail items in a list (APLT; tail: all but the top {head:.0%})", tail, (0, 1), _BETTER),
        ("arp", "Average popularity of recommended items (ARP)", counts, None, _NEITHER),
    )
    for metric, title, numbers, bounds, direction in measures:
        held = {name: means_of(items, numbers) for name, items in own.items()}
        held |= {name: rival.means(numbers) for name, rival in desk.rivals.items()}
        _per_user(desk, metric, title, lists.means(numbers), held, direction, bounds)
    profile = means_of(shown.histories, logs)
    _shift(desk, lists.means(logs) - profile)
    _lifts(desk, lists.means(counts), means_of(shown.histories, counts), user_groups)


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


def _per_user(
    desk: Desk,
    metric: str,
    title: str,
    values: Floats,
    rivals: Mapping[str, Floats],
    direction: Direction,
    bounds: tuple[float, float] | None,
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
            _mean(desk, mine, metric, bounds),
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


def _mean(desk: Desk, values: Floats, name: str, bounds: tuple[float, float] | None = None) -> Interval:
    return stats.mean_interval(
        values, rng=desk.rng(name), level=desk.context.level, resamples=desk.primary.resamples, bounds=bounds
    )


def _kept(desk: Desk, kept: Bools, values: Floats) -> dict[str, float]:
    return {unit: float(v) for unit, v in zip(np.array(desk.shown.units)[kept].tolist(), values, strict=True)}


def _lost(desk: Desk, kept: Bools) -> str:
    lost = desk.n - int(kept.sum())
    return f"{lost} users without an item of the catalogue on one side are left out" if lost else ""
