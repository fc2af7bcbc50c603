"""SASRec: the next item from the order of the last 50, by self-attention (Kang and McAuley, ICDM 2018).

Ships with weights for MovieLens-100K, trained by `recaudit train sasrec`; their model card lies beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audit.data.dataset import Dataset
from audit.targets.zoo.anchors import ml100k_core
from audit.targets.zoo.sequences import SequenceAnchor

if TYPE_CHECKING:
    from audit.targets.zoo.sasrec_model import SASRecNet

SHIPPED = Path(__file__).parent / "weights" / "sasrec-ml100k"


class SASRec(SequenceAnchor):
    """Scores an item by the inner product of its embedding with the network's state after the history."""

    name = "sasrec"

    @staticmethod
    def read(folder: Path) -> tuple[SASRecNet, tuple[str, ...]]:
        """See `SequenceAnchor.read`."""
        from audit.targets.zoo.sasrec_model import load

        return load(folder)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> SASRec:
    """Entry point `sasrec`: the shipped weights, or those in the folder `weights`, for the catalogue of `dataset`."""
    return SASRec.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.sasrec_model.train`."""
    from audit.targets.zoo import sasrec_model

    return sasrec_model.train(dataset, seed=seed, out=out, progress=progress)
