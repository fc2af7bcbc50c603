"""LTGNN: vectors smoothed over the whole graph, one hop a training step (Zhang et al., WWW 2024).

Ships with weights for MovieLens-100K, trained by `recaudit train ltgnn`; their model card lies beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audit.data.dataset import Dataset
from audit.targets.zoo.anchors import ml100k_core
from audit.targets.zoo.collaborative import CollaborativeAnchor

if TYPE_CHECKING:
    from audit.targets.zoo.collaborative_model import ServedItems

SHIPPED = Path(__file__).parent / "weights" / "ltgnn-ml100k"


class LTGNN(CollaborativeAnchor):
    """Scores an item by the inner product of its smoothed vector with that of the folded-in user."""

    name = "ltgnn"

    @staticmethod
    def read(folder: Path) -> tuple[ServedItems, tuple[str, ...]]:
        """See `CollaborativeAnchor.read`."""
        from audit.targets.zoo.ltgnn_model import load

        return load(folder)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> LTGNN:
    """Entry point `ltgnn`: the shipped weights, or those in the folder `weights`, for the catalogue of `dataset`."""
    return LTGNN.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    from audit.targets.zoo import ltgnn_model

    return ltgnn_model.train(dataset, seed=seed, out=out, progress=progress)
