"""Mamba4Rec: the next item from a selective state space over the history (Liu et al., 2024).

Ships with weights for MovieLens-100K, trained by `recaudit train mamba4rec`; their model card lies beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audit.data.dataset import Dataset
from audit.targets.zoo.anchors import ml100k_core
from audit.targets.zoo.sequences import SequenceAnchor

if TYPE_CHECKING:
    from audit.targets.zoo.mamba4rec_model import Mamba4RecNet

SHIPPED = Path(__file__).parent / "weights" / "mamba4rec-ml100k"


class Mamba4Rec(SequenceAnchor):
    """Scores an item by the inner product of its embedding with the state after the history."""

    name = "mamba4rec"

    @staticmethod
    def read(folder: Path) -> tuple[Mamba4RecNet, tuple[str, ...]]:
        """See `SequenceAnchor.read`."""
        from audit.targets.zoo.mamba4rec_model import load

        return load(folder)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> Mamba4Rec:
    """Entry point `mamba4rec`: the weights in the folder `weights`, for the catalogue of `dataset`."""
    return Mamba4Rec.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.mamba4rec_model.train`."""
    from audit.targets.zoo import mamba4rec_model

    return mamba4rec_model.train(dataset, seed=seed, out=out, progress=progress)
