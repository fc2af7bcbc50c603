"""NCF: a factor model and a perceptron side by side, NeuMF (He et al., WWW 2017).

`recaudit train ncf` trains it. No weights are shipped with it yet; see docs/targets/zoo.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audit.data.dataset import Dataset
from audit.targets.zoo.anchors import ml100k_core
from audit.targets.zoo.collaborative import CollaborativeAnchor

if TYPE_CHECKING:
    from audit.targets.zoo.ncf_model import Scorer

SHIPPED = Path(__file__).parent / "weights" / "ncf-ml100k"


class NCF(CollaborativeAnchor):
    """Scores an item by a network over its vector and the sum of those of the history."""

    name = "ncf"

    @staticmethod
    def read(folder: Path) -> tuple[Scorer, tuple[str, ...]]:
        """See `CollaborativeAnchor.read`."""
        from audit.targets.zoo.ncf_model import load

        return load(folder)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> NCF:
    """Entry point `ncf`: the shipped weights, or those in the folder `weights`, for the catalogue of `dataset`."""
    return NCF.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    from audit.targets.zoo import ncf_model

    return ncf_model.train(dataset, seed=seed, out=out, progress=progress)
