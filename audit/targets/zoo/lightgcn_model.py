"""LightGCN (He et al., "LightGCN: Simplifying and Powering Graph Convolution Network", SIGIR 2020): the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audit.data.dataset import Dataset
from audit.targets.zoo import training
from audit.targets.zoo.bipartite import Bipartite
from audit.targets.zoo.collaborative_model import CollaborativeHyper, FactorNet, ServedItems, learn
from audit.targets.zoo.training import Progress

ARCHITECTURE = "LightGCN"


@dataclass(frozen=True)
class Hyper(CollaborativeHyper):
    """Hyper-parameters. The defaults are those of the shipped weights.

    Attributes:
        layers: hops over the graph.
    """

    layers: int = 3
    rate: float = 1e-2
    ridge: float = 1e-4
    batch: int = 4096
    epochs: int = 50


class LightGCNNet(FactorNet):
    """The mean of a node's own vector and of what reaches it over one to `layers` hops (equations 3 and 4).

    Args:
        graph: who has what.
        hyper: hyper-parameters.
    """

    def __init__(self, graph: Bipartite, hyper: Hyper) -> None:
        super().__init__(graph, hyper)
        self.hyper = hyper

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `FactorNet.forward`."""
        users, items = zip(*self.layers(), strict=True)
        return torch.stack(users).mean(dim=0), torch.stack(items).mean(dim=0)

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """The vectors of users and items after 0, 1, … hops."""
        found = [(self.user + 0, self.item + 0)]
        for _ in range(self.hyper.layers):
            found.append(self.graph.hop(*found[-1]))
        return found

    def served(self) -> ServedItems:
        """A user's layers after the first are sums over the history; only the first is the user's own."""
        before_last = torch.stack([items for _, items in self.layers()[:-1]]).sum(dim=0)
        given = before_last * self.graph.inverse_roots[1] / (self.hyper.layers + 1)
        users, items = self()
        return empty(self.hyper, self.graph.n_items).fill(self.graph, users, items, given)


def empty(hyper: Hyper, items: int) -> ServedItems:
    """What answers, before it holds numbers."""
    return ServedItems(items, hyper.dim, hyper.ridge, own=1 / (hyper.layers + 1))


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Progress | None = None, hyper: Hyper | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    chosen = hyper or Hyper()
    return learn(
        "lightgcn", ARCHITECTURE, lambda graph: LightGCNNet(graph, chosen), chosen, dataset,
        seed=seed, out=out, progress=progress,
    )  # fmt: skip


def load(folder: Path) -> tuple[ServedItems, tuple[str, ...]]:
    """What answers, and its item ids; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "lightgcn", ARCHITECTURE, lambda hyper, items: empty(Hyper(**hyper), items))
