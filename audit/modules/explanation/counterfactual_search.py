"""The search for the smallest set whose removal changes a recommendation. Asks nothing itself.

In the line of PRINCE (Ghazimatin et al. 2020) and ACCENT (Tran et al. 2021): items are ordered by what their removal
takes from the lead of the recommendation over each item that might replace it. All single items are tried, then pairs,
then growing sets along those orders, from which every item that is not needed is put back.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from math import comb

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Set = frozenset[int]

_AT_ONCE = 16
"""Pairs asked between two looks."""
_EVERY_SIZE = 20
"""Players up to which growing sets grow one by one; behind that by a quarter."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What came of taking a set away.

    Attributes:
        changed: whether the recommendation is another one; None where the answer cannot be read.
        leads: (rivals,) how far the recommendation is still ahead of each rival.
    """

    changed: bool | None
    leads: Floats


@dataclass(frozen=True, eq=False)
class Found:
    """How a search ended.

    Attributes:
        removed: the set; None where none was found.
        minimal: whether all smaller sets were tried and change nothing; with no set, whether all sets were tried.
        tried: sets that were asked.
        unread: how many of them had an answer that cannot be read.
        influence: (players, rivals) what taking each player alone takes from the lead over each rival; NaN where it was
            not tried or could not be read.
    """

    removed: Set | None
    minimal: bool
    tried: int
    unread: int
    influence: Floats


Search = Generator[list[Set], list[Seen], Found]
"""Yields sets to take away, is sent what came of each, and returns how it ended."""


def search(players: int, leads: Floats, evaluations: int) -> Search:
    """Search one case.

    Args:
        players: how many can be taken away, at least 1.
        leads: (rivals,) of the clean answer; there may be no rival.
        evaluations: the most sets that may be asked.
    """
    return _Case(players, leads, evaluations).run()


@dataclass(eq=False)
class _Case:
    players: int
    clean: Floats
    evaluations: int
    seen: dict[Set, Seen] = field(default_factory=dict)

    def run(self) -> Search:
        for stage in (self._singles, self._pairs, self._growing, self._more_pairs):
            removed = yield from stage()
            if removed is not None:
                break
        if removed is not None:
            removed = yield from self._pruned(removed)
        removed = yield from self._proven(removed)
        sizes = range(1, self.players + 1 if removed is None else len(removed))
        read = [len(one) for one, came in self.seen.items() if came.changed is not None]
        minimal = all(read.count(size) == comb(self.players, size) for size in sizes)
        unread = len(self.seen) - len(read)
        return Found(removed, minimal, len(self.seen), unread, self._influence)

    @property
    def _left(self) -> int:
        return self.evaluations - len(self.seen)

    @property
    def _influence(self) -> Floats:
        rows = [self.seen.get(frozenset({i})) for i in range(self.players)]
        unknown = np.full(len(self.clean), np.nan)
        drops = [unknown if row is None or row.changed is None else self.clean - row.leads for row in rows]
        return np.array(drops, dtype=np.float64).reshape(self.players, len(self.clean))

    def _ask(self, sets: Iterable[Set]) -> Generator[list[Set], list[Seen], None]:
        new = [one for one in dict.fromkeys(sets) if one not in self.seen][: max(self._left, 0)]
        if new:
            self.seen.update(zip(new, (yield new), strict=True))

    def _first(self, sets: Sequence[Set]) -> Set | None:
        """Of the sets that change it, the smallest, and of those the one that leaves it furthest behind."""
        hits = [one for one in sets if (came := self.seen.get(one)) is not None and came.changed]
        return min(hits, key=lambda one: (len(one), self._behind(one)), default=None)

    def _behind(self, one: Set) -> float:
        leads = self.seen[one].leads
        return float(np.nanmin(leads)) if np.isfinite(leads).any() else 0.0

    def _singles(self) -> Generator[list[Set], list[Seen], Set | None]:
        # The latest first: where not all can be tried, a history's end is what most targets read.
        most = self.players if self.players < self.evaluations else max(self.evaluations // 2, 1)
        singles = [frozenset({i}) for i in reversed(range(self.players))][:most]
        yield from self._ask(singles)
        return self._first(singles)

    def _pairs(self) -> Generator[list[Set], list[Seen], Set | None]:
        # Growing sets keep their share: in a long history pairs alone would spend everything.
        most = (
            self._left if comb(self.players, 2) <= self._left else self._left - min(self._left // 2, 2 * self.players)
        )
        return (yield from self._more_pairs(most))

    def _more_pairs(self, most: int | None = None) -> Generator[list[Set], list[Seen], Set | None]:
        """Pairs not tried yet, those first that would leave the smallest lead over a rival if effects added up."""
        drops = np.nan_to_num(self._influence)
        first, second = np.triu_indices(self.players, 1)
        if drops.shape[1] and len(first):
            order = np.argsort((self.clean - drops[first] - drops[second]).min(axis=1), kind="stable")
            first, second = first[order], second[order]
        pairs = (frozenset({int(i), int(j)}) for i, j in zip(first, second, strict=True))
        new = (one for one in pairs if one not in self.seen)
        for batch in _batched(new, self._left if most is None else most):
            yield from self._ask(batch)
            if (hit := self._first(batch)) is not None:
                return hit
        return None

    def _growing(self) -> Generator[list[Set], list[Seen], Set | None]:
        drops = np.nan_to_num(self._influence)
        # Without a rival in sight the latest items go first.
        orders = [np.argsort(-drops[:, c], kind="stable") for c in range(drops.shape[1])]
        orders = orders or [np.arange(self.players)[::-1]]
        sets = [frozenset(int(i) for i in order[:size]) for size in self._sizes() for order in orders]
        yield from self._ask(sets)
        return self._first(sets)

    def _sizes(self) -> list[int]:
        if self.players <= _EVERY_SIZE:
            return list(range(3, self.players + 1))
        sizes, size = [], 3
        while size < self.players:
            sizes.append(size)
            size += max(1, size // 4)
        return [*sizes, self.players]

    def _pruned(self, removed: Set) -> Generator[list[Set], list[Seen], Set]:
        """Put back what is not needed, the least influential first, until every item left is needed."""
        weight = np.nan_to_num(self._influence).sum(axis=1)
        again = len(removed) > 1
        while again:
            again = False
            for i in sorted(removed, key=lambda i: weight[i]):
                smaller = removed - {i}
                if not smaller:
                    continue
                yield from self._ask([smaller])
                if (came := self.seen.get(smaller)) is not None and came.changed:
                    removed, again = smaller, True
        return removed

    def _proven(self, removed: Set | None) -> Generator[list[Set], list[Seen], Set | None]:
        """Try all smaller sets, size by size, where the evaluations reach that far."""
        sizes = range(1, self.players + 1 if removed is None else len(removed))
        known = [sum(len(one) == size for one in self.seen) for size in sizes]
        if sum(comb(self.players, size) for size in sizes) - sum(known) > self._left:
            return removed
        for size in sizes:
            every = [frozenset(one) for one in combinations(range(self.players), size)]
            yield from self._ask(every)
            if (hit := self._first(every)) is not None:
                return hit
        return removed


def _batched(sets: Iterable[Set], most: int) -> Iterator[list[Set]]:
    """The first of them, some at a time."""
    left = iter(sets)
    while most > 0 and (batch := list(islice(left, min(_AT_ONCE, most)))):
        most -= len(batch)
        yield batch
