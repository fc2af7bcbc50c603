"""What the recommenders share that read a history as a sequence: from a folder of weights to answers.

Their networks are in `<name>_model.py`, over `audit.targets.zoo.sequence_model`, which needs torch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from audit.data.dataset import FloatArray, IntArray
from audit.targets.zoo.anchors import Anchor, fingerprint, known_part
from audit.types import Catalog

if TYPE_CHECKING:
    from audit.targets.zoo.sequence_model import SequenceNet


class SequenceAnchor(Anchor):
    """Scores every item as the next one after a history, by a trained network.

    Args:
        catalog: the items, in the order of the network's indices.
        net: the trained network.
    """

    name: ClassVar[str]

    def __init__(self, catalog: Catalog, net: SequenceNet) -> None:
        numbers = [value.numpy() for _, value in sorted(net.state_dict().items())]
        super().__init__(self.name, catalog, fingerprint(self.name, catalog, *numbers))
        self.net = net

    @staticmethod
    @abstractmethod
    def read(folder: Path) -> tuple[SequenceNet, tuple[str, ...]]:
        """The network in `folder` and its item ids; see `audit.targets.zoo.training.load`."""

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read weights as `train` saves them; titles come from `catalog`.

        Raises:
            TargetError: there are no weights, they cannot be read, or they know an item that `catalog` lacks.
        """
        net, ids = cls.read(folder)
        return cls(known_part(cls.name, folder, ids, catalog), net)

    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items); only the last 50 items of a history count, or what the weights were made for."""
        return self.net.score(histories)
