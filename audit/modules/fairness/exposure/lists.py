"""What was shown to whom: lists as item indices with the weight of each place, and what they are held against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from audit.errors import DataError
from audit.modules.base import Context
from audit.modules.outcomes import Floats
from audit.types import Answer, Case

Ints = npt.NDArray[np.int64]
Discount = Literal["log", "uniform"]

_FEW = 50
"""Users outside the audit below whom popularity is not counted over them alone."""


@dataclass(frozen=True)
class Lists:
    """Lists of catalogue items, one per unit.

    Attributes:
        items: per unit, the distinct items of its list by index, best first.
        weights: per unit, the weight of the place of each.
        outside: (units,) weight of the places that went to something outside the catalogue.
        catalogue: how many items there are.
    """

    items: tuple[Ints, ...]
    weights: tuple[Floats, ...]
    outside: Floats
    catalogue: int

    @cached_property
    def totals(self) -> Floats:
        """(units,) weight of the places that went to catalogue items."""
        return np.array([w.sum() for w in self.weights], dtype=np.float64)

    @cached_property
    def lengths(self) -> Ints:
        """(units,) catalogue items per list."""
        return np.array([len(one) for one in self.items], dtype=np.int64)

    def per_group(self, member: Floats) -> Floats:
        """(units, groups) weight that each group's items have in each list."""
        return _sums(self.items, self.weights, member)

    def means(self, numbers: Floats) -> Floats:
        """(units,) mean of a number of the listed items; NaN for a list without any."""
        return means_of(self.items, numbers)


def means_of(items: Sequence[Ints], numbers: Floats) -> Floats:
    """Mean of a number of the items of each list, (units,); NaN for an empty one."""
    return np.array([numbers[one].mean() if len(one) else np.nan for one in items], dtype=np.float64)


def sums_of(items: Sequence[Ints], member: Floats) -> Floats:
    """(units, groups) how many of each list's items each group has."""
    return _sums(items, [np.ones(len(one)) for one in items], member)


def _sums(items: Sequence[Ints], weights: Sequence[Floats], member: Floats) -> Floats:
    return np.array([w @ member[i] for i, w in zip(items, weights, strict=True)]).reshape(len(items), member.shape[1])


@dataclass(frozen=True)
class Shown:
    """The run's readable lists, and everything they are held against, in the same order of units.

    Attributes:
        cases: those with a readable list.
        lists: what the target listed.
        histories: per unit, the items of the history it was shown.
        relevant: per unit, the held-out items.
        offered: per unit, the candidates; None where the whole catalogue could be listed.
        invalid: cases without a readable list.
        repeats: entries that name an item a second time; they count for nothing.
        discount: of the places.
    """

    cases: tuple[Case, ...]
    lists: Lists
    histories: tuple[Ints, ...]
    relevant: tuple[Ints, ...]
    offered: tuple[Ints, ...] | None
    invalid: int
    repeats: int
    discount: Discount

    @property
    def units(self) -> list[str]:
        """Ids of the cases, the keys of `values`."""
        return [case.id for case in self.cases]

    @property
    def k(self) -> int:
        """Longest list asked for."""
        return max(case.request.k for case in self.cases)

    def by_unit(self, values: Floats) -> dict[str, float]:
        """One value per unit, by its id."""
        return dict(zip(self.units, values.tolist(), strict=True))

    @property
    def note(self) -> str:
        """What was left out, for the end of a note."""
        parts = [f"{self.invalid} users got no readable list and are left out"] if self.invalid else []
        if self.repeats:
            parts.append(f"{self.repeats} repeated entries count for nothing")
        return "; ".join(parts)


def shown(context: Context, answers: Sequence[Answer], discount: Discount) -> Shown | None:
    """Read the answers to the clean requests; None if fewer than two users got a list."""
    pairs = [(c, a) for c, a in zip(context.cases, answers, strict=True) if a.outcome == "ok" and a.ranked]
    if len(pairs) < 2:
        return None
    cases = tuple(case for case, _ in pairs)
    index = context.dataset.index
    lists, repeats = read([answer for _, answer in pairs], cases, context, discount)
    offered = all(case.request.candidates is not None for case in cases)
    return Shown(
        cases=cases,
        lists=lists,
        histories=tuple(
            _indices((e.item.id for e in case.request.user.history if e.item.id in index), context) for case in cases
        ),
        relevant=tuple(_indices((i for i in sorted(case.relevant) if i in index), context) for case in cases),
        offered=tuple(
            _indices((i.id for i in case.request.candidates or () if i.id in index), context) for case in cases
        )
        if offered
        else None,
        invalid=len(context.cases) - len(cases),
        repeats=repeats,
        discount=discount,
    )


def read(answers: Sequence[Answer], cases: Sequence[Case], context: Context, discount: Discount) -> tuple[Lists, int]:
    """The lists of some answers, and how many repeated entries they hold."""
    index = context.dataset.index
    items: list[Ints] = []
    weights: list[Floats] = []
    outside = np.zeros(len(cases))
    repeats = 0
    for at, (answer, case) in enumerate(zip(answers, cases, strict=True)):
        seen: dict[int, float] = {}
        for place, name in enumerate(answer.ids[: case.request.k], 1):
            weight = weight_of(place, discount)
            if name is None or name not in index:
                outside[at] += weight
            elif index[name] in seen:
                repeats += 1
            else:
                seen[index[name]] = weight
        items.append(np.array(list(seen), dtype=np.int64))
        weights.append(np.array(list(seen.values()), dtype=np.float64))
    return Lists(tuple(items), tuple(weights), outside, len(index)), repeats


def weight_of(place: int, discount: Discount) -> float:
    """What a place is worth: 1 / log2(place + 1), or 1 for each."""
    return 1.0 / float(np.log2(place + 1)) if discount == "log" else 1.0


def chart(found: Shown, popularity: Floats) -> Lists:
    """What a chart would list: the most popular items that were offered and are not in the history."""
    order = np.argsort(-popularity, kind="stable")
    items = []
    for at, case in enumerate(found.cases):
        pool = order if found.offered is None else order[np.isin(order, found.offered[at])]
        fresh = pool[~np.isin(pool, found.histories[at])][: case.request.k]
        items.append(fresh.astype(np.int64))
    weights = tuple(np.array([weight_of(p, found.discount) for p in range(1, len(i) + 1)]) for i in items)
    return Lists(tuple(items), weights, np.zeros(len(items)), len(popularity))


def popularity_of(context: Context) -> tuple[Floats, str]:
    """(items,) how many users chose each item, and in which log, as the end of a sentence.

    Counted without the users under audit: nobody's held-out item counts, and nobody's own history makes itself look
    popular. Where hardly anybody else is left, the histories that the requests show are counted as well.
    """
    catalog, under_audit = context.dataset.catalog, {case.unit for case in context.cases}
    try:
        others = context.dataset.without_users(under_audit)
    except DataError:
        return _chosen(context), "popularity is counted over the histories shown, because every user is under audit"
    counts = np.array([others.popularity[name] for name in catalog], dtype=np.float64)
    left = len(others.user_ids)
    if left < _FEW:
        return counts + _chosen(context), (
            f"popularity is counted over {left} users who are not under audit and the histories shown, because those "
            "alone are too few"
        )
    return counts, f"popularity is counted over the {left} users who are not under audit"


def _chosen(context: Context) -> Floats:
    """(items,) in how many of the histories shown each item is."""
    index = context.dataset.index
    held: dict[str, set[str]] = {}
    for case in context.cases:
        held.setdefault(case.unit, set()).update(e.item.id for e in case.request.user.history)
    items = [index[name] for one in held.values() for name in one if name in index]
    return np.bincount(np.array(items, dtype=np.int64), minlength=len(index)).astype(np.float64)


def _indices(names: Iterable[str], context: Context) -> Ints:
    return np.array([context.dataset.index[name] for name in names], dtype=np.int64)
