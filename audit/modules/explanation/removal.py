"""What is left of a recommendation when items are taken away in the order that an attribution gives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from audit.modules.explanation.values import Values
from audit.stats import attributions as likeness
from audit.stats import shapley

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Subset = frozenset[int]

FEW = 10
"""Items up to which every number of them is taken away; of more these shares."""
SHARES = (0.1, 0.2, 0.3, 0.5)
_FLAT = 1e-4
"""Share of a value below which two values are the same but for the rounding of a batch."""


def sizes(n: int) -> tuple[int, ...]:
    """How many of n items are taken away: 1 to n - 1, since with none and with all of them every order is the same."""
    if n <= FEW:
        return tuple(range(1, n))
    return tuple(sorted({ceil(share * n) for share in SHARES}))


def ranked(phi: Floats, lot: Floats) -> Ints:
    """Players by attribution, the highest first. Ties fall by lot: the order of the request would favour a position.

    Args:
        phi: (n,) attribution.
        lot: (n,) random numbers.
    """
    scale = float(np.max(np.abs(phi), initial=0.0))
    rounded = np.round(phi / scale, 9) if scale > 0 else phi
    return np.lexsort((lot, -rounded)).astype(np.int64)


class Book:
    """The v(S) of many cases under one operator, each asked once.

    Attributes:
        values: what is asked.
    """

    def __init__(self, values: Values) -> None:
        self.values = values
        self._known: list[dict[Subset, float]] = [{} for _ in values.cases]

    def fetch(self, wanted: Mapping[int, Iterable[Subset]]) -> None:
        """See to it that these sets are known, by case."""
        missing = [
            [s for s in dict.fromkeys(wanted.get(c, ())) if s not in known] for c, known in enumerate(self._known)
        ]
        if any(missing):
            for known, sets, told in zip(self._known, missing, self.values.of(missing), strict=True):
                known.update(zip(sets, told.tolist(), strict=True))

    def of(self, case: int, sets: Iterable[Subset]) -> Floats:
        """Values that were fetched."""
        return np.array([self._known[case][s] for s in sets], dtype=np.float64)

    def every(self, case: int) -> Floats | None:
        """The values of all sets by bitmask, if all are known."""
        n = len(self.values.players[case])
        if n > FEW or len(self._known[case]) < 1 << n:
            return None
        return self.of(case, shapley.subsets(n))


@dataclass(frozen=True)
class Marks:
    """What an order came to in one case.

    Attributes:
        comprehensiveness: mean fall of v when the first k are taken away.
        sufficiency: mean fall of v when only the first k are left.
        deletion: mean of v over the way from all items to none, less v of none; NaN where that cannot be read.
        insertion: the same over the way from none to all.
        total: v of all items less v of none; NaN where that cannot be read.
    """

    comprehensiveness: float
    sufficiency: float
    deletion: float
    insertion: float
    total: float


def sets_of(order: Sequence[int] | Ints) -> list[Subset]:
    """The sets by which an order is judged: none, all, the first k, and all but those."""
    n = len(order)
    everyone = frozenset(range(n))
    tops = [frozenset(int(i) for i in order[:k]) for k in sizes(n)]
    return [frozenset(), everyone, *tops, *(everyone - top for top in tops)]


def marks(book: Book, case: int, order: Sequence[int] | Ints) -> Marks:
    """Judge one order by values that were fetched (`sets_of`)."""
    told = book.of(case, sets_of(order))
    steps = len(sizes(len(order)))
    empty, whole, only, without = told[0], told[1], told[2 : 2 + steps], told[2 + steps :]
    return _marks(len(order), empty, whole, only, without)


def random_marks(book: Book, case: int, orders: Sequence[Ints]) -> Marks:
    """What random orders come to on average: exactly, over all n! of them, where all sets are known."""
    known = book.every(case)
    if known is None:
        each = [marks(book, case, order) for order in orders]
        return Marks(*(float(np.mean([getattr(m, name) for m in each])) for name in Marks.__dataclass_fields__))
    n = len(book.values.players[case])
    count = np.array([mask.bit_count() for mask in range(len(known))])
    mean = np.array([known[count == k].mean() for k in range(n + 1)])
    steps = list(sizes(n))
    return _marks(n, known[0], known[-1], mean[steps], mean[[n - k for k in steps]])


def _marks(n: int, empty: float, whole: float, only: Floats, without: Floats) -> Marks:
    at = [0, *sizes(n), n]
    deletion = insertion = float("nan")
    if np.isfinite(empty):
        deletion = likeness.area(at, [whole, *without, empty]) - empty
        insertion = likeness.area(at, [empty, *only, whole]) - empty
    return Marks(
        shapley.comprehensiveness(whole, without),
        shapley.sufficiency(whole, only),
        deletion,
        insertion,
        float(whole - empty),
    )


@dataclass(frozen=True)
class Span:
    """Least and greatest comprehensiveness that an order can have.

    Attributes:
        worst: the least.
        best: the greatest.
        exact: over all orders; else found step by step, always taking what moves v most or least, and no narrower than
            the orders that were asked.
        flat: whether the two are the same but for rounding: no removal moves anything.
    """

    worst: float
    best: float
    exact: bool
    flat: bool

    def place(self, value: float) -> float:
        """Where a comprehensiveness lies, from 0 (worst order) to 1 (best); one half where nothing moves."""
        return 0.5 if self.flat else float(np.clip(shapley.between(value, self.worst, self.best), 0.0, 1.0))


def spans(book: Book, seen: Mapping[int, Collection[float]], evaluations: int) -> dict[int, Span]:
    """The span of each case.

    Args:
        book: of the operator that judges.
        seen: by case, the comprehensiveness of orders that were asked.
        evaluations: the most v(S) that a search may ask per case; where they do not suffice, `seen` alone is the span.
    """
    searched = {c: len(book.values.players[c]) for c in seen if book.every(c) is None}
    greedy = _greedy(book, [c for c, n in searched.items() if 2 * _cost(n) <= evaluations])
    found = {}
    for c, values in seen.items():
        n = len(book.values.players[c])
        known = book.every(c)
        if known is not None:
            # v of no item counts for no order, and may be what cannot be read.
            worst, best = shapley.extreme_orders(np.nan_to_num(known), sizes(n))
        else:
            worst, best = min([*values, *greedy.get(c, ())]), max([*values, *greedy.get(c, ())])
        whole = abs(float(book.of(c, [frozenset(range(n))])[0]))
        found[c] = Span(worst, best, known is not None, best - worst <= _FLAT * max(1.0, whole))
    return found


def _cost(n: int) -> int:
    """Sets that one step-by-step search asks."""
    return sum(n - k for k in range(max(sizes(n), default=0)))


def _greedy(book: Book, cases: Sequence[int]) -> dict[int, tuple[float, float]]:
    """Comprehensiveness of the orders that take away, step by step, what leaves least of v, and what leaves most."""
    ends: dict[int, list[float]] = {c: [] for c in cases}
    for sign in (1.0, -1.0):
        taken: dict[int, list[int]] = {c: [] for c in cases}
        for step in range(max((max(sizes(len(book.values.players[c])), default=0) for c in cases), default=0)):
            wanted: dict[int, list[tuple[int, Subset]]] = {}
            for c in cases:
                n = len(book.values.players[c])
                if step < max(sizes(n), default=0):
                    left = frozenset(range(n)) - frozenset(taken[c])
                    wanted[c] = [(i, left - {i}) for i in sorted(left)]
            book.fetch({c: [s for _, s in options] for c, options in wanted.items()})
            for c, options in wanted.items():
                told = book.of(c, [s for _, s in options])
                # A set that cannot be read is the last to be chosen.
                taken[c].append(options[int(np.argmin(np.nan_to_num(sign * told, nan=np.inf)))][0])
        for c in cases:
            n = len(book.values.players[c])
            everyone = frozenset(range(n))
            without = book.of(c, [everyone - frozenset(taken[c][:k]) for k in sizes(n)])
            book.fetch({c: [everyone]})
            end = shapley.comprehensiveness(float(book.of(c, [everyone])[0]), without)
            if np.isfinite(end):
                ends[c].append(end)
    return {c: (min(found), max(found)) for c, found in ends.items() if found}
