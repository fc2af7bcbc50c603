"""Shares of exposure per group of items, held against a named reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit import stats
from audit.findings import Param
from audit.modules.fairness.exposure.columns import Column
from audit.modules.fairness.exposure.desk import Desk
from audit.modules.fairness.exposure.lists import Ints, Shown, sums_of
from audit.modules.outcomes import Floats
from audit.modules.report_card import mde_of
from audit.stats import Interval
from audit.stats.resampling import Statistic

_EVIDENCE_BELOW = 0.05


@dataclass(frozen=True)
class Side:
    """Amounts of exposure per unit.

    Attributes:
        group: (units, groups).
        total: (units,) of all groups together.
    """

    group: Floats
    total: Floats

    @property
    def share(self) -> Floats:
        """(groups,) of the whole."""
        result: Floats = self.group.sum(axis=0) / self.total.sum()
        return result

    def pull(self) -> Floats:
        """(units, groups) what each unit adds to the share, above the mean: it averages 0."""
        result: Floats = len(self.total) * (self.group - self.share * self.total[:, None]) / self.total.sum()
        return result


def reference_side(name: str, shown: Shown, split: Floats) -> tuple[Side, Side] | str:
    """What was given and what it is held against, over the same units; or why there is nothing to hold it against.

    `history` and `offered` are each user's own share, in the weight that the user's list has: the exposure that a group
    gets when lists mirror histories, or when candidates are listed in random order.
    """
    given = Side(shown.lists.per_group(split), shown.lists.totals)
    if name == "catalogue":
        share = split.mean(axis=0)
        return given, Side(given.total[:, None] * share, given.total)
    if name == "merit":
        merit = sums_of(shown.relevant, split)
        if not merit.sum():
            return "no held-out item is in the catalogue, so there is no merit to hold exposure against"
        return given, Side(merit, merit.sum(axis=1))
    own = shown.histories if name == "history" else shown.offered
    if own is None:
        return "the requests name no candidates"
    counts = sums_of(own, split)
    sizes = counts.sum(axis=1)
    if not sizes.sum():
        return "no user has a history in the catalogue"
    total = np.where(sizes > 0, given.total, 0.0)
    if not total.sum():
        return "no user has both an item of the catalogue in the list and something to hold it against"
    share = counts / np.maximum(sizes, 1.0)[:, None]
    # A user without a history says nothing of what it would be to mirror one.
    return Side(np.where(sizes[:, None] > 0, given.group, 0.0), total), Side(share * total[:, None], total)


def judge(desk: Desk, column: Column) -> None:
    """Every group of one column."""
    if not desk.shown.lists.totals.sum():
        reason = "no listed item is in the catalogue"
        desk.primary.skip("exposure_ratio", f"Exposure by {column.name}", reason, **desk.params, column=column.name)
        return
    split = column.split
    _shares(desk, column, split)
    for name in desk.references:
        _ratios(desk, column, split, name)
    for metric, name in (
        ("exposure_parity", "catalogue" if desk.shown.offered is None else "offered"),
        ("treatment_ratio", "merit"),
    ):
        _against_the_rest(desk, column, split, metric, name)


def _shares(desk: Desk, column: Column, split: Floats) -> None:
    lists, chart = desk.shown.lists, desk.rivals["popularity"]
    mine = Side(lists.per_group(split), lists.totals + lists.outside)
    if not chart.totals.sum():
        reason = "nothing is left for a chart to list: users had everything that was offered"
        desk.explored.skip("exposure_share", f"Shares of {column.name}", reason, **desk.params, column=column.name)
        return
    theirs = Side(chart.per_group(split), chart.totals)
    shift = mine.pull() - theirs.pull() + (mine.share - theirs.share)
    tests = stats.mean_tests(shift.T, rng=desk.rng("share", column.name))
    for g in column.reported:
        desk.explored.add(
            "exposure_share",
            f"Share of exposure that {column.name} {column.groups[g]} gets",
            _share_interval(desk, mine.group[:, g], mine.total, f"share {column.name} {g}"),
            n=desk.n,
            direction="neither",
            params=_params(desk, column, g, against="popularity"),
            floor=float(theirs.share[g]),
            effect=_mean(desk, shift[:, g], f"shift {column.name} {g}"),
            test="studentised bootstrap over users, against popularity",
            p=float(tests[g]),
            mde=mde_of(shift[:, g]),
            note=desk.say(
                f"{split[:, g].mean():.1%} of the catalogue; a chart would give it {theirs.share[g]:.1%}",
            ),
            values=desk.shown.by_unit(shift[:, g]),
        )


def _ratios(desk: Desk, column: Column, split: Floats, name: str) -> None:
    sides = reference_side(name, desk.shown, split)
    if isinstance(sides, str):
        title = f"Exposure of {column.name} against {name}"
        desk.primary.skip("exposure_ratio", title, sides, **desk.params, column=column.name, reference=name)
        return
    given, held = sides
    gap = given.pull() - held.pull() + (given.share - held.share)
    tests = stats.mean_tests(gap.T, rng=desk.rng("ratio", column.name, name))
    for g in column.reported:
        title = f"Exposure of {column.name} {column.groups[g]} over its share of {_SHARE_OF[name]}"
        params = _params(desk, column, g, reference=name)
        share, base = float(given.share[g]), float(held.share[g])
        if base <= 0:
            desk.primary.skip("exposure_ratio", title, f"the group has no share of {_SHARE_OF[name]}", **params)
            continue
        spread = mde_of(gap[:, g])
        pull = given.pull()[:, g] / share - held.pull()[:, g] / base if share else np.zeros(desk.n)
        desk.primary.add(
            "exposure_ratio",
            title,
            _ratio_interval(desk, given, held, g, f"{column.name} {name} {g}"),
            n=int(np.count_nonzero(given.total)),
            direction="neither",
            params=params,
            test="studentised bootstrap over users",
            p=float(tests[g]),
            mde=None if spread is None else spread / base,
            note=desk.say(f"{share:.1%} of the exposure, {base:.1%} of {_SHARE_OF[name]}", _caution(desk, name)),
            evidence=_evidence(desk, column, g, gap[:, g]) if tests[g] < _EVIDENCE_BELOW else (),
            values=desk.shown.by_unit(share / base * (1.0 + pull)),
        )


def _against_the_rest(desk: Desk, column: Column, split: Floats, metric: str, name: str) -> None:
    """(E(G) / R(G)) / (E(rest) / R(rest)): exposure per item offered, or per unit of merit, of a group and the rest."""
    sides = reference_side(name, desk.shown, split)
    what = "item" if metric == "exposure_parity" else "held-out choice"
    if isinstance(sides, str):
        title = f"Exposure of {column.name} per {what}"
        desk.explored.skip(metric, title, sides, **desk.params, column=column.name, reference=name)
        return
    given, held = sides
    for g in column.reported:
        title = f"Exposure per {what} of {column.name} {column.groups[g]}, over that of the rest"
        params = _params(desk, column, g, reference=name)
        s, r = float(given.share[g]), float(held.share[g])
        if not (0 < r < 1 and s < 1):
            reason = f"the group has {s:.0%} of the exposure and {r:.0%} of {_SHARE_OF[name]}, so one side is empty"
            desk.explored.skip(metric, title, reason, **params)
            continue
        a, t = given.group[:, g], given.total
        b, u = held.group[:, g], held.total

        def odds(w: Floats, a: Floats = a, t: Floats = t, b: Floats = b, u: Floats = u) -> Floats:
            mine, base = w @ a, w @ b
            result: Floats = mine / (w @ t - mine) * (w @ u - base) / base
            return result

        ratio = s / (1 - s) * (1 - r) / r
        pull = given.pull()[:, g] / (s * (1 - s)) - held.pull()[:, g] / (r * (1 - r)) if s else np.zeros(desk.n)
        try:
            interval = _bootstrap(desk, odds, f"{metric} {column.name} {g}")
        except ValueError as error:
            desk.explored.skip(metric, title, str(error), **params)
            continue
        gap = given.pull()[:, g] - held.pull()[:, g] + (s - r)
        desk.explored.add(
            metric,
            title,
            interval,
            n=int(np.count_nonzero(given.total)),
            direction="neither",
            params=params,
            test="studentised bootstrap over users",
            p=stats.mean_test(gap, rng=desk.rng(metric, column.name, str(g))),
            note=desk.say(f"{s:.1%} of the exposure, {r:.1%} of {_SHARE_OF[name]}", _caution(desk, name)),
            values=desk.shown.by_unit(ratio * (1.0 + pull)),
        )


_SHARE_OF = {
    "catalogue": "the catalogue",
    "history": "the users' histories",
    "merit": "what users chose next",
    "offered": "what was offered",
}


def _params(desk: Desk, column: Column, g: int, **more: Param) -> dict[str, Param]:
    return {**desk.params, "column": column.name, "group": column.groups[g], "discount": desk.shown.discount, **more}


def _caution(desk: Desk, name: str) -> str:
    if name != "offered" and desk.shown.offered is not None:
        return "lists could only hold candidates, and a target cannot expose what it was not offered"
    return ""


def _share_interval(desk: Desk, part: Floats, whole: Floats, name: str) -> Interval:
    own = part[whole > 0] / whole[whole > 0]
    if np.ptp(own) < 1e-12:
        # Nobody's share differed: the interval allows for what this many users cannot exclude.
        value = np.clip(own, 0.0, 1.0).round(12)
        return stats.mean_interval(value, rng=desk.rng(name), level=desk.context.level, bounds=(0.0, 1.0))
    return stats.ratio_interval(
        part, whole, rng=desk.rng(name), level=desk.context.level, resamples=desk.primary.resamples
    )


def _ratio_interval(desk: Desk, given: Side, held: Side, g: int, name: str) -> Interval:
    a, t, b, u = given.group[:, g], given.total, held.group[:, g], held.total
    own = a[t > 0] / t[t > 0]
    if np.ptp(own) < 1e-12:
        share, base = _share_interval(desk, a, t, name), float(held.share[g])
        return Interval(share.estimate / base, share.low / base, share.high / base, share.level, share.method)

    def ratio(w: Floats) -> Floats:
        result: Floats = (w @ a) / (w @ t) * (w @ u) / (w @ b)
        return result

    return _bootstrap(desk, ratio, name)


def _bootstrap(desk: Desk, statistic: Statistic, name: str) -> Interval:
    return stats.bootstrap(
        statistic, desk.n, rng=desk.rng(name), level=desk.context.level, resamples=desk.primary.resamples
    )


def _mean(desk: Desk, values: Floats, name: str) -> Interval:
    return stats.mean_interval(values, rng=desk.rng(name), level=desk.context.level, resamples=desk.primary.resamples)


def _evidence(desk: Desk, column: Column, g: int, gap: Floats) -> list[str]:
    """The users whose lists pull the share furthest in the direction found."""
    shown, sign = desk.shown, np.sign(gap.mean())
    order = sorted(range(desk.n), key=lambda i: (-sign * gap[i], i))[: desk.sheet.examples]
    title = f"{column.name} {column.groups[g]} {'above' if sign > 0 else 'below'} its share"
    return [
        desk.sheet.show(
            shown.cases[i].id,
            title,
            shown.cases[i].request,
            f"{int(column.member[shown.lists.items[i], g].sum())} of {len(shown.lists.items[i])} listed items "
            f"are in the group, {_own(shown, column, g, i)}",
        )
        for i in order
        if sign * gap[i] > 0
    ]


def _own(shown: Shown, column: Column, g: int, i: int) -> str:
    def count(items: Ints) -> str:
        return f"{int(column.member[items, g].sum())} of {len(items)}"

    if shown.offered is not None:
        return f"{count(shown.offered[i])} of the candidates"
    return f"{count(shown.histories[i])} of the history"
