"""What the collaborative recommenders share: from a folder of weights to answers.

They know nothing but who has what, and read a history as a set: its order changes nothing. Their networks are in
`<name>_model.py`, over `audit.targets.zoo.collaborative_model`, which needs torch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np

from audit.data.dataset import FloatArray, IntArray
from audit.targets.zoo.anchors import Anchor, fingerprint, known_part
from audit.types import Catalog


class Served(Protocol):
    """What answers, once training is over."""

    def numbers(self) -> list[FloatArray]:
        """Every number that an answer depends on, for the fingerprint."""
        ...

    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items)."""
        ...


class CollaborativeAnchor(Anchor):
    """Scores every item for the user that a history describes; see the target's module for how.

    Args:
        catalog: the items, in the order of the network's indices.
        net: what training left.
    """

    name: ClassVar[str]

    def __init__(self, catalog: Catalog, net: Served) -> None:
        super().__init__(self.name, catalog, fingerprint(self.name, catalog, *net.numbers()))
        self.net = net

    @staticmethod
    @abstractmethod
    def read(folder: Path) -> tuple[Served, tuple[str, ...]]:
        """The network in `folder` and its item ids; see `audit.targets.zoo.training.load`."""

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read weights as `train` saves them; titles come from `catalog`.

        Raises:
            TargetError: the weights cannot be read, or know an item that `catalog` lacks.
        """
        net, ids = cls.read(folder)
        return cls(known_part(cls.name, folder, ids, catalog), net)

    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items); neither order nor repeats count, nor which other histories are asked with it."""
        return self.net.score([np.unique(history) for history in histories])
