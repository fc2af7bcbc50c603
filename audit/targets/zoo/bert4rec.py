"""BERT4Rec: the next item as the hidden last one of a sequence read from both sides (Sun et al., CIKM 2019).

`recaudit train bert4rec` trains it. No weights are shipped with it yet; see docs/targets/zoo.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audit.data.dataset import Dataset
from audit.targets.zoo.anchors import ml100k_core
from audit.targets.zoo.sequences import SequenceAnchor

if TYPE_CHECKING:
    from audit.targets.zoo.bert4rec_model import BERT4RecNet

SHIPPED = Path(__file__).parent / "weights" / "bert4rec-ml100k"


class BERT4Rec(SequenceAnchor):
    """Scores an item by how well it fits the hidden place behind the history."""

    name = "bert4rec"

    @staticmethod
    def read(folder: Path) -> tuple[BERT4RecNet, tuple[str, ...]]:
        """See `SequenceAnchor.read`."""
        from audit.targets.zoo.bert4rec_model import load

        return load(folder)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> BERT4Rec:
    """Entry point `bert4rec`: the weights in the folder `weights`, for the catalogue of `dataset`."""
    return BERT4Rec.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.bert4rec_model.train`."""
    from audit.targets.zoo import bert4rec_model

    return bert4rec_model.train(dataset, seed=seed, out=out, progress=progress)
