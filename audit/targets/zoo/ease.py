"""EASE: a linear item-item model in closed form (Steck, "Embarrassingly Shallow Autoencoders", WWW 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.errors import ConfigError
from audit.targets.zoo.anchors import Anchor, fingerprint, learned, ml100k_core
from audit.types import Catalog


class Ease(Anchor):
    """Scores an item by the summed weights from the items of the history. Order and repeats do not count.

    Args:
        catalog: the items.
        weights: (items, items) with a zero diagonal; entry [i, j] is what having i says of j.
        l2: λ they were solved with, for a twin that is fitted again.
    """

    def __init__(self, catalog: Catalog, weights: FloatArray, l2: float = 500.0) -> None:
        super().__init__("ease", catalog, fingerprint("ease", catalog, weights), trains=True)
        self.weights, self.l2 = weights, l2

    @classmethod
    def fit(cls, dataset: Dataset, *, l2: float = 500.0, hold_out: Literal["valid", "test"] | None = "test") -> Ease:
        """Solve for what users did before their `hold_out` item of the leave-one-out split.

        Args:
            dataset: all events count as implicit feedback.
            l2: the only hyper-parameter, λ of equation 8.
            hold_out: the part the model must not see; None for a dataset that holds nothing else.
        """
        rows = learned(dataset, hold_out)
        seen = np.zeros((len(rows), len(dataset.catalog)))
        for row, items in zip(seen, rows, strict=True):
            row[items] = 1
        return cls(dataset.catalog, ease_weights(seen, l2), l2)

    def retrain(self, dataset: Dataset) -> Ease:
        """See `audit.target.Retrains`."""
        return Ease.fit(dataset, l2=self.l2, hold_out=None)

    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items); an empty history scores every item 0."""
        # Row by row and in index order: then neither batch nor history order changes the last digit.
        return np.stack([self.weights[np.unique(history)].sum(axis=0) for history in histories])


def ease_weights(seen: FloatArray, l2: float) -> FloatArray:
    """Equation 8 of the paper: B = I − P · diag(1 / diag P), with P = (XᵀX + λI)⁻¹.

    Args:
        seen: X, (users, items), 1 where the user has the item, else 0.
        l2: λ.

    Returns:
        B, (items, items): the minimiser of ‖X − XB‖² + λ‖B‖² with a zero diagonal.

    Raises:
        ConfigError: λ is not above 0.
    """
    if not l2 > 0:
        raise ConfigError(f"ease: l2 {l2} must be above 0; 50 to 500 suit a small catalogue")
    inverse = np.linalg.inv(seen.T @ seen + l2 * np.eye(seen.shape[1]))
    weights: FloatArray = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


def build(dataset: Dataset | None = None, l2: float = 500.0) -> Ease:
    """Entry point `ease`: fitted on all but the test items of `dataset`, or of MovieLens-100K."""
    return Ease.fit(ml100k_core() if dataset is None else dataset, l2=l2)
