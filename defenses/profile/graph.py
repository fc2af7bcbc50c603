"""Which items occur together in the log, and how much two of them have to do with each other.

An edge joins two items that stand within `window` places of each other in somebody's history; its weight is the number
of *people* for whom they do, so that one person who repeats a pair a thousand times adds one. Whoever asks is left out:
what a user of the log contributed is subtracted whenever that user's own history is judged, because with it every pair
of a history would vouch for itself, for polluted items as well as for true ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from scipy.sparse import coo_array, csr_array

from audit.data.dataset import Dataset, FloatArray, IntArray

Measure = Literal["pmi", "cosine"]
"""How much two items have to do with each other. `pmi`: the positive part of the logarithm of how much more often they
stand together than their frequencies alone would bring about (Church and Hanks 1990; Levy and Goldberg, NeurIPS 2014).
`cosine`: of the vectors that say who has the item, counting only people who have both within the window."""

MEASURES: tuple[Measure, ...] = ("pmi", "cosine")


class ItemGraph:
    """Co-occurrence of the items of a log.

    Args:
        dataset: the log; its catalogue gives the items their numbers.
        window: places between two events that count as together: 1 for neighbours, None for the whole history.
        shrink: λ, pseudo-counts that pull rare pairs towards independence (`pmi`) or towards nothing (`cosine`).
        measure: see `Measure`.

    Attributes:
        people: (items,) how many people have each item.
        counts: (items, items) symmetric, for how many people two items stand together.
    """

    def __init__(self, dataset: Dataset, *, window: int | None, shrink: float, measure: Measure) -> None:
        self.dataset, self.window, self.shrink, self.measure = dataset, window, shrink, measure
        self.index: Mapping[str, int] = dataset.index
        size = len(dataset.catalog)
        self.people = np.zeros(size, dtype=np.int64)
        keys = []
        for sequence in dataset.sequences.values():
            self.people[np.unique(sequence)] += 1
            keys.append(self._pairs(sequence))
        found, counts = np.unique(np.concatenate(keys), return_counts=True)
        low, high = np.divmod(found, size)
        # Both directions, so that a row holds all neighbours of an item.
        ends, others = np.concatenate([low, high]), np.concatenate([high, low])
        self.counts = coo_array((np.tile(counts, 2).astype(np.float64), (ends, others)), shape=(size, size)).tocsr()
        self.margins: FloatArray = np.asarray(self.counts.sum(axis=1), dtype=np.float64)
        self._own = lru_cache(maxsize=4096)(self._contribution)

    def _pairs(self, sequence: IntArray) -> IntArray:
        """Distinct pairs of a sequence within the window, each as low · items + high, sorted."""
        reach = len(sequence) - 1 if self.window is None else min(self.window, len(sequence) - 1)
        size = len(self.dataset.catalog)
        found = [np.empty(0, dtype=np.int64)]
        for step in range(1, reach + 1):
            a, b = sequence[:-step], sequence[step:]
            found.append((np.minimum(a, b) * size + np.maximum(a, b))[a != b])
        return np.unique(np.concatenate(found))

    def _contribution(self, user: str) -> tuple[IntArray, IntArray, IntArray]:
        """What a user of the log adds: pairs, the items, and how many pairs each item is in."""
        pairs = self._pairs(self.dataset.sequences[user])
        items = np.unique(self.dataset.sequences[user])
        ends = np.concatenate(np.divmod(pairs, len(self.dataset.catalog)))
        return pairs, items, np.bincount(np.searchsorted(items, ends), minlength=len(items)).astype(np.int64)

    def support(self, history: IntArray, user: str) -> IntArray:
        """How many people other than `user` have each item of a history, shape (n,)."""
        counts = self.people[history]
        if user in self.dataset.sequences:
            counts = counts - np.isin(history, self._own(user)[1])
        return counts

    def affinities(self, histories: IntArray, users: Sequence[str]) -> FloatArray:
        """How much the items of each history have to do with each other, by those who do not ask.

        Args:
            histories: (n, length) item numbers.
            users: (n) whose they are; a user who is not in the log takes nothing away.

        Returns:
            (n, length, length), symmetric; 0 between an item and itself.
        """
        n, length = histories.shape
        square = np.zeros((n, length, length))
        if n == 0 or length < 2:
            return square
        size = len(self.dataset.catalog)
        one, other = np.triu_indices(length, 1)
        a, b = histories[:, one], histories[:, other]
        together = np.asarray(self.counts[a.ravel(), b.ravel()], dtype=np.float64).reshape(a.shape)
        margins = (self.margins if self.measure == "pmi" else self.people)[histories].astype(np.float64)
        total = np.full((n, 1), float(self.margins.sum()))
        for row, user in enumerate(users):
            if user not in self.dataset.sequences:
                continue
            pairs, items, degrees = self._own(user)
            keys = np.minimum(a[row], b[row]) * size + np.maximum(a[row], b[row])
            together[row] -= _holds(pairs, keys)
            at = np.minimum(np.searchsorted(items, histories[row]), len(items) - 1)
            mine = items[at] == histories[row]
            margins[row] -= np.where(mine, degrees[at] if self.measure == "pmi" else 1, 0)
            total[row] -= 2 * len(pairs)
        values = self._measured(together, margins[:, one], margins[:, other], total)
        values[a == b] = 0.0
        square[:, one, other] = values
        square[:, other, one] = values
        return square

    def _measured(self, together: FloatArray, one: FloatArray, other: FloatArray, total: FloatArray) -> FloatArray:
        if self.measure == "cosine":
            scale = np.sqrt(one * other) + self.shrink
            return np.divide(together, scale, out=np.zeros_like(together), where=scale > 0)
        expected = one * other / np.maximum(total, 1.0)
        # (observed + λ) / (expected + λ): with little to go by, as often as expected.
        ratio = (together + self.shrink) / np.maximum(expected + self.shrink, np.finfo(np.float64).tiny)
        return np.log(np.maximum(ratio, 1.0))

    @cached_property
    def edges(self) -> csr_array[np.float64, tuple[int, int]]:
        """(items, items): the measure of every pair that occurs, nobody left out; pairs that say nothing are absent."""
        rows, columns = self.counts.nonzero()
        margins = (self.margins if self.measure == "pmi" else self.people).astype(np.float64)
        total = np.full(len(rows), float(self.margins.sum()))
        values = self._measured(self.counts.data.astype(np.float64), margins[rows], margins[columns], total)
        found = csr_array((values, (rows, columns)), shape=self.counts.shape)
        found.eliminate_zeros()
        return found


def _holds(sorted_keys: IntArray, wanted: IntArray) -> FloatArray:
    """1 where a wanted key is among the sorted ones, else 0."""
    if len(sorted_keys) == 0:
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    found: FloatArray = (sorted_keys[at] == wanted).astype(np.float64)
    return found
