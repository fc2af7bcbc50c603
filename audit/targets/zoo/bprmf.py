"""BPR-MF: a vector per user and item, trained to rank (Rendle et al., UAI 2009).

Ships with weights for MovieLens-100K, trained by `recaudit train bpr-mf`; their model card lies beside them.
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

SHIPPED = Path(__file__).parent / "weights" / "bpr-mf-ml100k"


class BPRMF(CollaborativeAnchor):
    """Scores an item by the inner product of its vector with that of the folded-in user."""

    name = "bpr-mf"

    @staticmethod
    def read(folder: Path) -> tuple[ServedItems, tuple[str, ...]]:
        """See `CollaborativeAnchor.read`."""
        from audit.targets.zoo.bprmf_model import load

        return load(folder)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> BPRMF:
    """Entry point `bpr-mf`: the shipped weights, or those in the folder `weights`, for the catalogue of `dataset`."""
    return BPRMF.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    from audit.targets.zoo import bprmf_model

    return bprmf_model.train(dataset, seed=seed, out=out, progress=progress)
