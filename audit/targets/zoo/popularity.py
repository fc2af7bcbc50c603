"""Popularity: the items most people interacted with, for everybody. What every recommender must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.targets.zoo.anchors import Anchor, fingerprint, learned, ml100k_core
from audit.types import Catalog


class Popularity(Anchor):
    """Scores an item by its number of training events; the history only removes what was seen.

    Args:
        catalog: the items.
        counts: (items,) training events of each item, in catalogue order.
    """

    def __init__(self, catalog: Catalog, counts: FloatArray) -> None:
        super().__init__("popularity", catalog, fingerprint("popularity", catalog, counts), trains=True)
        self.counts = counts

    @classmethod
    def fit(cls, dataset: Dataset, *, hold_out: Literal["valid", "test"] | None = "test") -> Popularity:
        """Count what users did before their `hold_out` item of the leave-one-out split; None counts all they did."""
        seen = np.concatenate(learned(dataset, hold_out))
        return cls(dataset.catalog, np.bincount(seen, minlength=len(dataset.catalog)).astype(np.float64))

    def retrain(self, dataset: Dataset) -> Popularity:
        """See `audit.target.Retrains`."""
        return Popularity.fit(dataset, hold_out=None)

    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """The same counts for every history, (histories, items)."""
        return np.tile(self.counts, (len(histories), 1))


def build(dataset: Dataset | None = None) -> Popularity:
    """Entry point `popularity`: fitted on all but the test items of `dataset`, or of MovieLens-100K."""
    return Popularity.fit(ml100k_core() if dataset is None else dataset)
