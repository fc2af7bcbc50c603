"""GTN (Fan et al., "Graph Trend Filtering Networks for Recommendations", SIGIR 2022): the network.

LightGCN averages over every edge alike. GTN smooths with an L1 penalty: it seeks the F that minimises
1/2 ‖F - E‖² + λ ‖Δ F‖₁, where Δ takes the difference along each edge of the vectors over the roots of their degrees. An
edge between unlike nodes then pulls with a bounded force, so that one odd click moves a user little.

A layer is one step of the dual projected gradient (the paper's proximal steps with γ = 1): z ← clip(z + β Δ F, ±λ) and
F ← E - Δᵀ z. With β = 1/2 the steps converge, because the largest eigenvalue of Δᵀ Δ is at most 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.targets.zoo import training
from audit.targets.zoo.bipartite import Bipartite
from audit.targets.zoo.collaborative_model import CollaborativeHyper, FactorNet, ServedItems, learn
from audit.targets.zoo.training import Progress

ARCHITECTURE = "GTN"

BETA = 0.5


@dataclass(frozen=True)
class Hyper(CollaborativeHyper):
    """Hyper-parameters. The defaults are what `recaudit train gtn` uses.

    Attributes:
        layers: steps; the published runs take 3.
        clip: λ. Above some size no edge is clipped, and the layers are those of a plain lazy walk (I + Â) / 2.
    """

    layers: int = 3
    clip: float = 0.05
    rate: float = 1e-2
    ridge: float = 1e-4
    batch: int = 8192
    epochs: int = 50


class GTNNet(FactorNet):
    """A node's vector after `layers` steps of graph trend filtering.

    Args:
        graph: who has what.
        hyper: hyper-parameters.
    """

    def __init__(self, graph: Bipartite, hyper: Hyper) -> None:
        super().__init__(graph, hyper)
        self.hyper = hyper

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `FactorNet.forward`."""
        return self.layers()[-1]

    def layers(self) -> list[tuple[Tensor, Tensor]]:
        """The vectors of users and items after 0, 1, … steps."""
        found, dual = [(self.user + 0, self.item + 0)], None
        for _ in range(self.hyper.layers):
            pull = BETA * self.graph.differences(*found[-1])
            dual = (pull if dual is None else dual + pull).clamp(-self.hyper.clip, self.hyper.clip)
            users, items = self.graph.gathered(dual)
            found.append((self.user - users, self.item - items))
        return found

    def served(self) -> ServedItems:
        """What a user's steps need of the items: their vectors after each step, over the roots of their degrees."""
        *before, (users, items) = self.layers()
        served = empty(self.hyper, self.graph.n_items)
        with torch.no_grad():
            roots = self.graph.inverse_roots[1]
            served.get_buffer("trail").copy_(torch.stack([layer[1] * roots for layer in before]))
        return served.fill(self.graph, users, items)


class TrendItems(ServedItems):
    """The item side of a GTN: a folded-in user runs through the same steps, with the items' own steps as trained.

    Args:
        items: number of items.
        hyper: hyper-parameters.
    """

    def __init__(self, items: int, hyper: Hyper) -> None:
        super().__init__(items, hyper.dim, hyper.ridge, own=1.0, graph=False)
        self.hyper = hyper
        self.register_buffer("trail", torch.zeros(hyper.layers, items, hyper.dim))

    def place(self, own: FloatArray, history: IntArray) -> tuple[FloatArray, FloatArray]:
        """See `audit.targets.zoo.fold_in.Placing`; the gain of a coordinate is that of its edges which are not clipped.

        Args:
            own: (dim,).
            history: item indices, each once.
        """
        x, gain, _ = self.steps(own, history)
        return x, gain

    def steps(self, own: FloatArray, history: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """`place`, and the dual of the last step (items of the history, dim), at ±λ where an edge is clipped."""
        trail, root = self._table("trail"), 1 / np.sqrt(len(history))
        x, gain = own, np.ones_like(own)
        dual = slope = np.zeros((len(history), len(own)))
        for step in range(self.hyper.layers):
            dual = dual + BETA * (x * root - trail[step, history])
            slope = np.where(np.abs(dual) < self.hyper.clip, slope + BETA * gain * root, 0.0)
            dual = dual.clip(-self.hyper.clip, self.hyper.clip)
            x, gain = own - dual.sum(axis=0) * root, 1 - slope.sum(axis=0) * root
        return x, gain, dual


def empty(hyper: Hyper, items: int) -> TrendItems:
    """What answers, before it holds numbers."""
    return TrendItems(items, hyper)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Progress | None = None, hyper: Hyper | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    chosen = hyper or Hyper()
    return learn(
        "gtn", ARCHITECTURE, lambda graph: GTNNet(graph, chosen), chosen, dataset,
        seed=seed, out=out, progress=progress,
    )  # fmt: skip


def load(folder: Path) -> tuple[ServedItems, tuple[str, ...]]:
    """What answers, and its item ids; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "gtn", ARCHITECTURE, lambda hyper, items: empty(Hyper(**hyper), items))
