"""GTN: vectors smoothed over the graph with an L1 penalty, which one odd edge moves little (Fan et al., SIGIR 2022).

`recaudit train gtn` trains it. No weights are shipped with it yet; see docs/targets/zoo.md.
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

SHIPPED = Path(__file__).parent / "weights" / "gtn-ml100k"


class GTN(CollaborativeAnchor):
    """Scores an item by the inner product of its smoothed vector with that of the folded-in user."""

    name = "gtn"

    @staticmethod
    def read(folder: Path) -> tuple[ServedItems, tuple[str, ...]]:
        """See `CollaborativeAnchor.read`."""
        from audit.targets.zoo.gtn_model import load

        return load(folder)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> GTN:
    """Entry point `gtn`: the shipped weights, or those in the folder `weights`, for the catalogue of `dataset`."""
    return GTN.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    from audit.targets.zoo import gtn_model

    return gtn_model.train(dataset, seed=seed, out=out, progress=progress)
