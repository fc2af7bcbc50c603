"""SASRec: the next item from the order of the last 50, by self-attention (Kang and McAuley, ICDM 2018).

Ships with weights for MovieLens-100K, trained by `recaudit train sasrec`; their model card lies beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.errors import TargetError
from audit.targets.zoo.anchors import Anchor, fingerprint, ml100k_core
from audit.types import Catalog

if TYPE_CHECKING:
    from audit.targets.zoo.sasrec_model import SASRecNet

SHIPPED = Path(__file__).parent / "weights" / "sasrec-ml100k"


class SASRec(Anchor):
    """Scores an item by the inner product of its embedding with the network's state after the history.

    Args:
        catalog: the items, in the order of the network's indices.
        net: the trained network.
    """

    def __init__(self, catalog: Catalog, net: SASRecNet) -> None:
        numbers = [value.numpy() for _, value in sorted(net.state_dict().items())]
        super().__init__("sasrec", catalog, fingerprint("sasrec", catalog, *numbers))
        self.net = net

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> SASRec:
        """Read weights as `train` saves them; titles come from `catalog`.

        Raises:
            TargetError: the weights cannot be read, or know an item that `catalog` lacks.
        """
        from audit.targets.zoo.sasrec_model import load

        net, ids = load(folder)
        missing = [item_id for item_id in ids if item_id not in catalog]
        if missing:
            raise TargetError(
                f"sasrec: {folder} was trained on {len(missing)} items that this catalogue lacks, such as "
                f"{missing[0]!r}; run `recaudit train sasrec` on this dataset"
            )
        return cls(Catalog(catalog[item_id] for item_id in ids), net)

    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items); only the last 50 items of a history count."""
        return self.net.score(histories)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> SASRec:
    """Entry point `sasrec`: the shipped weights, or those in the folder `weights`, for the catalogue of `dataset`."""
    return SASRec.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.sasrec_model.train`."""
    from audit.targets.zoo import sasrec_model

    return sasrec_model.train(dataset, seed=seed, out=out, progress=progress)
