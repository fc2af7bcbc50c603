"""BPR-MF (Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009): the network."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from audit.data.dataset import Dataset
from audit.targets.zoo import training
from audit.targets.zoo.bipartite import Bipartite
from audit.targets.zoo.collaborative_model import CollaborativeHyper, FactorNet, ServedItems, learn
from audit.targets.zoo.training import Progress

ARCHITECTURE = "BPR-MF"

Hyper = CollaborativeHyper
"""Hyper-parameters. The defaults are those of the shipped weights."""


class BPRMFNet(FactorNet):
    """A user's and an item's vector as they are: no graph.

    Args:
        graph: who has what.
        hyper: hyper-parameters.
    """

    def __init__(self, graph: Bipartite, hyper: Hyper) -> None:
        super().__init__(graph, hyper)
        self.hyper = hyper

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `FactorNet.forward`."""
        return self.user, self.item

    def served(self) -> ServedItems:
        """See `CollaborativeNet.served`."""
        return empty(self.hyper, self.graph.n_items).fill(self.graph, *self())


def empty(hyper: Hyper, items: int) -> ServedItems:
    """What answers, before it holds numbers."""
    return ServedItems(items, hyper.dim, hyper.ridge, own=1.0, graph=False)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Progress | None = None, hyper: Hyper | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    chosen = hyper or Hyper()
    return learn(
        "bpr-mf", ARCHITECTURE, lambda graph: BPRMFNet(graph, chosen), chosen, dataset,
        seed=seed, out=out, progress=progress,
    )  # fmt: skip


def load(folder: Path) -> tuple[ServedItems, tuple[str, ...]]:
    """What answers, and its item ids; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "bpr-mf", ARCHITECTURE, lambda hyper, items: empty(Hyper(**hyper), items))
