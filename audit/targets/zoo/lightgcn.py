"""LightGCN: vectors smoothed over the graph of who has what (He et al., SIGIR 2020).

Ships with weights for MovieLens-100K, trained by `recaudit train lightgcn`; their model card lies beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from audit.data.dataset import Dataset, FloatArray
from audit.data.splits import leave_one_out
from audit.targets.zoo.anchors import ml100k_core
from audit.targets.zoo.collaborative import CollaborativeAnchor

if TYPE_CHECKING:
    from audit.targets.zoo.collaborative_model import ServedItems

SHIPPED = Path(__file__).parent / "weights" / "lightgcn-ml100k"


class LightGCN(CollaborativeAnchor):
    """Scores an item by the inner product of its smoothed vector with that of the folded-in user."""

    name = "lightgcn"

    @staticmethod
    def read(folder: Path) -> tuple[ServedItems, tuple[str, ...]]:
        """See `CollaborativeAnchor.read`."""
        from audit.targets.zoo.lightgcn_model import load

        return load(folder)


def build(dataset: Dataset | None = None, weights: str | Path = SHIPPED) -> LightGCN:
    """Entry point `lightgcn`: the shipped weights, or those in the folder `weights`, for the catalogue of `dataset`."""
    return LightGCN.load(Path(weights), (ml100k_core() if dataset is None else dataset).catalog)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Callable[[int, int, float], None] | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    from audit.targets.zoo import lightgcn_model

    return lightgcn_model.train(dataset, seed=seed, out=out, progress=progress)


@dataclass(frozen=True)
class Vectors:
    """Collaborative vectors for another model to build on; a user's score for an item is the inner product.

    Attributes:
        user_ids: users with three events or more, in the dataset's order.
        users: (users, dim) in that order.
        item_ids: in the order of the weights.
        items: (items, dim) in that order.
    """

    user_ids: tuple[str, ...]
    users: FloatArray
    item_ids: tuple[str, ...]
    items: FloatArray


def vectors(
    dataset: Dataset | None = None, weights: str | Path = SHIPPED, *, hold_out: Literal["valid", "test"] = "valid"
) -> Vectors:
    """The vectors of items, and of users as they were before their `hold_out` item of the leave-one-out split.

    Args:
        dataset: whose users; None for MovieLens-100K.
        weights: folder of the weights.
        hold_out: `valid` folds in what the weights have learned from; `test` adds the validation item.

    Raises:
        TargetError: as `LightGCN.load`.
    """
    from audit.targets.zoo.lightgcn_model import load

    dataset = ml100k_core() if dataset is None else dataset
    model, net = build(dataset, weights), load(Path(weights))[0]
    split = leave_one_out(dataset)
    ids = tuple(split.train)
    place = {dataset.index[item_id]: i for i, item_id in enumerate(model.catalog)}
    histories = [[place[i] for i in split.context(user, hold_out) if i in place] for user in ids]
    users = net.user_vectors([np.array(history, dtype=np.int64) for history in histories])
    return Vectors(ids, users, tuple(model.catalog), net.item_vectors())
