"""S3-Rec: SASRec, pre-trained to guess hidden items, segments and attributes (Zhou et al., CIKM 2020).

`recaudit train s3rec` trains it. No weights are shipped with it yet; see docs/targets/zoo.md.
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

SHIPPED = Path(__file__).parent / "weights" / "s3rec-ml100k"


class S3Rec(SequenceAnchor):
    """Scores an item as SASRec does. It reads no attributes: what it knows of them, its item vectors learned."""

    name = "s3rec"

    @staticmethod
    def read(folder: Path) -> tuple[SASRecNet, tuple[str, ...]]:
        """See `SequenceAnchor.read`."""
        from audit.targets.zoo.s3rec_model import load

        return load(folder)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> S3Rec:
    """Entry point `s3rec`: the weights in the folder `weights`, for the catalogue of `dataset`."""
    return S3Rec.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.s3rec_model.train`."""
    from audit.targets.zoo import s3rec_model

    return s3rec_model.train(dataset, seed=seed, out=out, progress=progress)
