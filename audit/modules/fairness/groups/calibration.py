"""Whether lists hold what their users like, and whether scores mean what they say, for every group alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from audit import stats
from audit.modules.fairness.groups.desk import Desk
from audit.modules.fairness.groups.people import Grouping
from audit.modules.outcomes import Bools, Floats, ScoreOutcomes
from audit.types import Answer, Catalog, Item

_ENOUGH_FOR_ECE = 100
"""Users of a group below which a calibration error says nothing."""
_PERMUTATIONS = 999
_FEWEST = 2


def tastes(desk: Desk, answers: Sequence[Answer], column: str) -> tuple[Floats, Floats]:
    """Miscalibration of each case's list, and its floor; NaN where the history or the list has no category.

    Returns:
        (cases,) divergence, and (cases,) the user's own floor.
    """
    context = desk.context
    categories = _categories(context.dataset.catalog, column)
    found = np.full((2, len(context.cases)), np.nan)
    for i, (case, answer) in enumerate(zip(context.cases, answers, strict=True)):
        ids = [name for name in answer.ids[: case.request.k] if name is not None and name in context.dataset.catalog]
        past = _rows([event.item for event in case.request.user.history], column, categories)
        shown = _rows([context.dataset.catalog[name] for name in ids], column, categories)
        if len(past) and len(shown):
            found[:, i] = stats.miscalibration(past, shown, rng=desk.rng("calibration", case.id))
    return found[0], found[1]


def taste_gaps(desk: Desk, grouping: Grouping, divergence: Floats, floors: Floats, column: str) -> None:
    """How far each group's lists are from its taste beyond the floor, and how much further than those of others."""
    held = np.isfinite(divergence)
    beyond = divergence - floors
    for group in grouping.reported:
        inside, others = grouping.member(group) & held, ~grouping.member(group) & held
        if inside.sum() < _FEWEST or others.sum() < _FEWEST:
            continue
        rng = desk.rng("calibration", grouping.name, group)
        params = desk.params(grouping.name, group=group, column=column, measure="js")
        card, rows = desk.explored, np.flatnonzero(inside)
        units = desk.units
        card.add(
            "group_calibration",
            f"How far lists of users with {grouping.name} {group} are from their taste in {column}",
            stats.mean_interval(divergence[inside], rng=rng, level=card.level, bounds=(0.0, 1.0)),
            n=int(inside.sum()),
            direction="higher_is_worse",
            params=params,
            floor=float(floors[inside].mean()),
            effect=stats.mean_interval(beyond[inside], rng=rng, level=card.level, bounds=(-1.0, 1.0)),
            note="Jensen–Shannon divergence in bits; the floor is what lists of this length drawn from the user's own "
            "history come to",
            values={units[i]: float(beyond[i]) for i in rows},
        )
        _gap(desk, grouping, group, beyond, inside, held, column)


def _gap(desk: Desk, grouping: Grouping, group: str, beyond: Floats, inside: Bools, held: Bools, column: str) -> None:
    x, member = beyond[held], inside[held]
    rng, card = desk.rng("calibration gap", grouping.name, group), desk.explored
    desk.explored.add(
        "calibration_gap",
        f"How much further from their taste lists of users with {grouping.name} {group} are than those of others",
        stats.group_difference(x, member, rng=rng, level=card.level, resamples=card.resamples),
        n=len(x),
        direction="higher_is_worse",
        params=desk.params(grouping.name, group=group, column=column, measure="js"),
        test="group labels permuted over users, Welch's t, two-sided",
        p=stats.group_difference_test(x, member, rng=rng),
        mde=stats.minimum_detectable_group_difference(float(x.std(ddof=1)), int(member.sum()), int((~member).sum())),
        note="beyond each user's own floor",
    )


def score_gaps(desk: Desk, grouping: Grouping, scored: ScoreOutcomes) -> None:
    """Expected calibration error of each large enough group, and how much more it is than that of others."""
    rows = scored.rows
    p, y, case = scored.scores[rows], scored.labels[rows], scored.case[rows]
    if not len(p) or p.min() < 0.0 or p.max() > 1.0:
        return
    for group in grouping.reported:
        inside = grouping.member(group)
        few = min(int(inside.sum()), int((~inside).sum()))
        params = desk.params(grouping.name, group=group, measure="ece")
        title = f"Calibration error of users with {grouping.name} {group} more than that of others"
        if few < _ENOUGH_FOR_ECE:
            reason = f"{few} users on the smaller side are too few; a calibration error needs {_ENOUGH_FOR_ECE}"
            desk.explored.skip("calibration_gap", title, reason, **params)
            continue
        rng = desk.rng("ece", grouping.name, group)
        observed = _ece_gap(p, y, inside[case])
        drawn = np.array([_ece_gap(p, y, rng.permutation(inside)[case]) for _ in range(_PERMUTATIONS)])
        hits = int(np.count_nonzero(np.abs(drawn) >= abs(observed) - 1e-12))
        low, high = np.quantile(drawn, [(1 - desk.explored.level) / 2, (1 + desk.explored.level) / 2])
        desk.explored.add(
            "calibration_gap",
            title,
            # The spread under exchanged labels stands for the error of the gap: a resampled ECE is biased upwards.
            stats.Interval(
                observed,
                min(observed, observed - float(high)),
                max(observed, observed - float(low)),
                desk.explored.level,
                "permuted-labels",
            ),
            n=len(desk.context.cases),
            direction="higher_is_worse",
            params=params,
            test="group labels permuted over users",
            p=(hits + 1) / (_PERMUTATIONS + 1),
            note=f"{_ece(p, y, inside[case]):.3f} against {_ece(p, y, ~inside[case]):.3f}",
        )


def _ece_gap(p: Floats, y: npt.NDArray[np.int64], inside: Bools) -> float:
    return _ece(p, y, inside) - _ece(p, y, ~inside)


def _ece(p: Floats, y: npt.NDArray[np.int64], chosen: Bools) -> float:
    return stats.expected_calibration_error(p[chosen], y[chosen])


def _categories(catalog: Catalog, column: str) -> dict[str, int]:
    names = sorted({name for item in catalog.items_in_order for name in _names(item, column)})
    return {name: i for i, name in enumerate(names)}


def _names(item: Item, column: str) -> tuple[str, ...]:
    value = item.attributes.get(column, ())
    return value if isinstance(value, tuple) else (str(value),)


def _rows(items: Sequence[Item], column: str, categories: dict[str, int]) -> Floats:
    """(items with a category, categories) an item of m categories counting 1 / m in each."""
    known = [names for item in items if (names := [n for n in _names(item, column) if n in categories])]
    rows = np.zeros((len(known), len(categories)))
    for row, names in zip(rows, known, strict=True):
        for name in names:
            row[categories[name]] += 1.0 / len(names)
    return rows
