"""How well each group is served, and how much worse than others: signed, tested by permuting who belongs where.

The size of fairlearn's own `difference` is never below 0, so its interval could never hold 0: a gap is signed here, and
the test decides, not the range of the group means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit import stats
from audit.modules.fairness.groups.desk import WORDS, Desk, Measure
from audit.modules.fairness.groups.people import Grouping
from audit.modules.outcomes import Bools, Floats
from audit.modules.report_card import ReportCard

_DECILES = 10
_FEWEST = 2
_PERMUTATIONS = 4999


def quality(desk: Desk, grouping: Grouping, measure: Measure) -> None:
    """What each reported group gets, by fairlearn's disaggregation: rows are users."""
    from fairlearn.metrics import MetricFrame, count, mean_prediction

    values = desk.values[measure]
    held = np.isfinite(values)
    frame = MetricFrame(
        metrics={"mean": mean_prediction, "count": count},
        y_true=np.zeros(int(held.sum())),
        y_pred=values[held],
        sensitive_features=grouping.labels[held],
    ).by_group
    for group in grouping.reported:
        inside = grouping.member(group) & held
        if inside.sum() < _FEWEST:
            continue
        interval = stats.mean_interval(
            values[inside],
            rng=desk.rng("quality", grouping.name, group, measure),
            level=desk.explored.level,
            resamples=desk.explored.resamples,
            bounds=(0.0, 1.0),
        )
        if abs(interval.estimate - float(frame.loc[group, "mean"])) > 1e-9:
            raise AssertionError(f"{group}: two ways to take one mean disagree")
        units = desk.units
        desk.explored.add(
            "group_quality",
            f"{_measure(desk, measure)} of {_of(grouping, group)}",
            interval,
            n=int(frame.loc[group, "count"]),
            direction="higher_is_better",
            params=desk.params(grouping.name, group=group, measure=measure),
            values={units[i]: float(values[i]) for i in np.flatnonzero(inside)},
        )


def gaps(desk: Desk, grouping: Grouping, measure: Measure, card: ReportCard, *, shrink: bool = False) -> None:
    """How much worse each reported group is served than the others: as it is, and at equal histories."""
    values = desk.values[measure]
    pulled = _shrunken(grouping, values) if shrink else {}
    for group in grouping.reported:
        inside, others = _sides(desk, grouping, group, np.isfinite(values))
        if inside.sum() < _FEWEST or others.sum() < _FEWEST:
            continue
        used = inside | others
        x, member = values[used], inside[used]
        unadjusted(desk, grouping, group, measure, x, member, np.flatnonzero(used), card, pulled.get(group))
        if not shrink:
            adjusted(desk, grouping, group, measure, x, member, np.flatnonzero(used))


def unadjusted(
    desk: Desk,
    grouping: Grouping,
    group: str,
    measure: Measure,
    x: Floats,
    member: Bools,
    rows: np.ndarray,
    card: ReportCard,
    pulled: float | None,
) -> None:
    """The gap as users feel it, whatever it comes from."""
    rng = desk.rng("gap", grouping.name, group, measure)
    here, there = float(x[member].mean()), float(x[~member].mean())
    spread = float(np.sqrt((x[member].var() * member.sum() + x[~member].var() * (~member).sum()) / max(len(x) - 2, 1)))
    mde = stats.minimum_detectable_group_difference(spread, int(member.sum()), int((~member).sum()))
    ratio = f", {here / there:.2f} times as much" if there > 0 else ""
    note = f"{here:.3f} for {int(member.sum())} users, {there:.3f} for {int((~member).sum())} {_rest(desk)}{ratio}"
    if pulled is not None:
        note += f"; {pulled:.3f} when the cells are pulled together by how uncertain each is"
    worst = np.argsort(np.where(member, x, np.inf), kind="stable")[: desk.sheet.examples if not pulled else 0]
    evidence = [
        desk.sheet.show(
            desk.context.cases[rows[i]].id,
            f"A user of {_of(grouping, group)}",
            desk.context.cases[rows[i]].request,
            f"{_measure(desk, measure)} {x[i]:.2f}, where {_rest(desk)} have {there:.2f} on average",
        )
        for i in worst
        if member[i]
    ]
    interval = stats.group_difference(x, ~member, rng=rng, level=card.level, resamples=card.resamples)
    units = desk.units
    card.add(
        "quality_gap",
        f"{_measure(desk, measure)} that {_of(grouping, group)} get less than {_rest(desk)}",
        interval,
        n=len(x),
        direction="higher_is_worse",
        params=desk.params(grouping.name, group=group, against=desk.against, measure=measure, adjusted=False),
        test="group labels permuted over users, Welch's t, two-sided",
        p=stats.group_difference_test(x, member, rng=rng),
        mde=mde if mde > 0 else None,
        note=note,
        evidence=evidence,
        # The mean over all users of these is the gap: each group's users count as if it were everybody.
        values={
            units[row]: float(value * len(x) / ((~member).sum() if not inside else -member.sum()))
            for row, value, inside in zip(rows, x, member, strict=True)
        },
    )


def adjusted(
    desk: Desk, grouping: Grouping, group: str, measure: Measure, x: Floats, member: Bools, rows: np.ndarray
) -> None:
    """The gap that is left among users with histories of one length and popularity."""
    lengths, popularity, tested = _covariates(desk, rows)
    rng = desk.rng("adjusted", grouping.name, group, measure)
    title = f"{_measure(desk, measure)} that {_of(grouping, group)} get less than {_rest(desk)}, at equal histories"
    params = desk.params(grouping.name, group=group, against=desk.against, measure=measure, adjusted=True)
    try:
        interval, p = stats.adjusted_difference(
            x, ~member, np.column_stack([np.log1p(lengths), popularity, tested]), level=desk.explored.level
        )
    except ValueError as error:
        desk.explored.skip("quality_gap", title, str(error), **params)
        return
    order = np.argsort(np.argsort(lengths, kind="stable"), kind="stable")
    deciles = order * _DECILES // len(order)
    within = stats.group_difference_test(x, member, rng=rng, strata=deciles)
    desk.explored.add(
        "quality_gap",
        title,
        interval,
        n=len(x),
        direction="higher_is_worse",
        params=params,
        test="group labels permuted within tenths of history length, Welch's t, two-sided",
        p=within,
        note=f"least squares on the logarithm of history length, mean popularity of the history and number of held-out "
        f"items, HC3 errors (p {p:.2g})",
    )


def spread(desk: Desk, grouping: Grouping, measure: Measure) -> None:
    """For more than two groups: whether they differ at all, beyond what chance does to groups of these sizes."""
    values = desk.values[measure]
    used = np.isfinite(values) & np.isin(grouping.labels, grouping.reported)
    x, labels = values[used], grouping.labels[used]
    if len(set(labels.tolist())) <= _FEWEST:
        return
    rng = desk.rng("spread", grouping.name, measure)
    found = stats.group_spread_test(x, labels, rng=rng)
    _, code = np.unique(labels, return_inverse=True)
    onehot = np.eye(int(code.max()) + 1)[code]
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = stats.bootstrap(
            lambda w: np.ptp((w * x) @ onehot / (w @ onehot), axis=1),
            len(x),
            rng=rng,
            level=desk.explored.level,
            resamples=desk.explored.resamples,
            method="percentile",
            width=len(x),
        )
    effect = stats.Interval(
        interval.estimate - found.floor,
        interval.low - found.floor,
        interval.high - found.floor,
        interval.level,
        interval.method,
    )
    desk.explored.add(
        "quality_spread",
        f"{_measure(desk, measure)}: best group less worst, by {grouping.name}",
        interval,
        n=len(x),
        direction="higher_is_worse",
        params=desk.params(grouping.name, measure=measure),
        floor=found.floor,
        effect=effect,
        test="group labels permuted over users, range of the means",
        p=found.p,
        note=f"{onehot.shape[1]} groups; the floor is what chance makes of groups of these sizes",
    )


def interaction(desk: Desk, grouping: Grouping, measure: Measure) -> None:
    """Whether a cell of two crossed columns is served otherwise than both columns by themselves would say.

    The estimate is the coefficient of the cell beside the main effects of the columns; their residuals are permuted
    over users (Freedman & Lane 1983).
    """
    values = desk.values[measure]
    held = np.isfinite(values)
    x = values[held]
    columns = [np.unique(part.labels[held], return_inverse=True)[1] for part in grouping.parts]
    design = np.column_stack([np.ones(len(x)), *(np.eye(int(c.max()) + 1)[c][:, 1:] for c in columns)])
    hat = design @ np.linalg.pinv(design)
    residual = x - hat @ x
    for group in grouping.reported:
        inside = grouping.member(group)[held]
        if inside.sum() < _FEWEST or inside.all():
            continue
        rng = desk.rng("interaction", grouping.name, group, measure)
        # The cell's indicator without what the main effects say of it, so that only the interaction is left to see.
        lever = inside - hat @ inside
        if float(lever @ lever) <= 1e-9:
            continue
        mixed = rng.permuted(np.broadcast_to(residual, (_PERMUTATIONS, len(x))), axis=1)
        drawn, observed = mixed @ lever, float(residual @ lever)
        p = (int(np.count_nonzero(np.abs(drawn) >= abs(observed) - 1e-12)) + 1) / (_PERMUTATIONS + 1)
        top, bottom = residual * lever, lever**2
        interval = stats.ratio_interval(top, bottom, rng=rng, level=desk.explored.level, method="percentile")
        desk.explored.add(
            "interaction",
            f"{_measure(desk, measure)} of {_of(grouping, group)} beyond what each column says by itself",
            interval,
            n=int(inside.sum()),
            direction="neither",
            params=desk.params(grouping.name, group=group, measure=measure),
            test="residuals of the main effects permuted over users, two-sided",
            p=p,
        )


def _sides(desk: Desk, grouping: Grouping, group: str, held: Bools) -> tuple[Bools, Bools]:
    inside = grouping.member(group) & held
    if desk.against == "others":
        return inside, ~grouping.member(group) & held
    others = grouping.member(desk.against) & held if desk.against != group else np.zeros(len(held), dtype=bool)
    return inside, others


def _covariates(desk: Desk, rows: Sequence[int] | np.ndarray) -> tuple[Floats, Floats, Floats]:
    """History length, mean popularity of the history, number of held-out items, per row."""
    popularity = desk.context.dataset.popularity
    cases = [desk.context.cases[i] for i in rows]
    lengths = np.array([len(case.request.user.history) for case in cases], dtype=float)
    mean = np.array(
        [
            np.mean([popularity.get(e.item.id, 0) for e in case.request.user.history])
            if case.request.user.history
            else 0.0
            for case in cases
        ]
    )
    return lengths, mean, np.array([len(case.relevant) or len(case.labels) for case in cases], dtype=float)


def _shrunken(grouping: Grouping, values: Floats) -> dict[str, float]:
    held = np.isfinite(values)
    cells = [g for g in grouping.reported if (grouping.member(g) & held).sum() > 1]
    means = [float(values[grouping.member(g) & held].mean()) for g in cells]
    errors = [
        max(float(values[grouping.member(g) & held].var(ddof=1) / (grouping.member(g) & held).sum()), 1e-12)
        for g in cells
    ]
    if len(cells) < _FEWEST:
        return {}
    return dict(zip(cells, stats.shrunken(means, errors).tolist(), strict=True))


def _measure(desk: Desk, measure: Measure) -> str:
    ranked = measure in ("ndcg", "hr", "recall")
    word = WORDS[measure]
    return f"{word[:1].upper()}{word[1:]}" + (f"@{desk.context.cases[0].request.k}" if ranked else "")


def _of(grouping: Grouping, group: str) -> str:
    return f"users with {grouping.name} {group}"


def _rest(desk: Desk) -> str:
    return "others" if desk.against == "others" else f"users with {desk.against}"
