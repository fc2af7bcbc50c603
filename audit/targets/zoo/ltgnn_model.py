"""LTGNN (Zhang et al., "Linear-Time Graph Neural Networks for Scalable Recommendations", WWW 2024): the network.

The vectors solve Z = (1 - α) Â Z + α E: personalised PageRank over the graph, all hops at once. Solving it in each step
would cost many hops. So a step makes one hop from the Z that the last step left, and the gradient, which solves the
same equation, is carried along in the same way. With `neighbours`, a hop reads so many random neighbours of the nodes
of the batch only, which makes the cost of an epoch linear in the edges; what was known when the epoch began is then
subtracted and added back exactly, so that only the change since then is estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audit.data.dataset import Dataset
from audit.targets.zoo import training
from audit.targets.zoo.bipartite import Bipartite
from audit.targets.zoo.collaborative_model import CollaborativeHyper, FactorNet, ServedItems, bpr_loss, learn
from audit.targets.zoo.training import Progress

ARCHITECTURE = "LTGNN"

_HOPS = 60
"""To the fixed point, at the end: what is missing after n hops shrinks as (1 - α)ⁿ."""


@dataclass(frozen=True)
class Hyper(CollaborativeHyper):
    """Hyper-parameters. The defaults are those of the shipped weights.

    Attributes:
        alpha: share of a node's own vector; the published runs use 0.45.
        neighbours: read in a hop; 0 for all, which is cheaper as long as a batch touches most of the graph.
    """

    alpha: float = 0.45
    neighbours: int = 0
    rate: float = 5e-3
    ridge: float = 1e-3
    epochs: int = 40


class LTGNNNet(FactorNet):
    """The implicit graph, one hop a step.

    Args:
        graph: who has what.
        hyper: hyper-parameters.
    """

    memory: Tensor
    slope: Tensor
    snapshot: Tensor
    snapshot_hop: Tensor

    def __init__(self, graph: Bipartite, hyper: Hyper) -> None:
        super().__init__(graph, hyper)
        self.hyper = hyper
        own = torch.cat([self.user, self.item]).detach()
        # In the checkpoint, so that a resumed training goes on from the same Z.
        self.register_buffer("memory", self.fixed_point(own))
        self.register_buffer("slope", torch.zeros_like(own))
        self.register_buffer("snapshot", torch.zeros_like(own))
        self.register_buffer("snapshot_hop", torch.zeros_like(own))
        self._rng = np.random.default_rng(0)

    def hop(self, nodes: Tensor) -> Tensor:
        """Â Z over users, then items."""
        return torch.cat(self.graph.hop(nodes[: self.graph.n_users], nodes[self.graph.n_users :]))

    def fixed_point(self, own: Tensor) -> Tensor:
        """Z of the vectors E, (nodes, dim) each."""
        found = own
        for _ in range(_HOPS):
            found = (1 - self.hyper.alpha) * self.hop(found) + self.hyper.alpha * own
        return found

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `FactorNet.forward`; solved to the end."""
        found = self.fixed_point(torch.cat([self.user, self.item]))
        return found[: self.graph.n_users], found[self.graph.n_users :]

    def begin_epoch(self, rng: np.random.Generator) -> None:
        """Take the snapshot that the epoch's estimates lean on."""
        self._rng = rng
        self.snapshot.copy_(self.memory)
        self.snapshot_hop.copy_(self.hop(self.memory))

    def loss(self, users: Tensor, liked: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """See `CollaborativeNet.loss`; of vectors one hop from the memory, which moves on to them."""
        own = torch.cat([self.user, self.item])
        one, two = self.graph.n_users + liked, self.graph.n_users + others[:, 0]
        touched = torch.unique(torch.cat([users, one, two])) if self.hyper.neighbours else torch.arange(len(own))
        found: Tensor = _Implicit.apply(own, touched, self)  # type: ignore[no-untyped-call]
        value = bpr_loss(found[users], found[one], found[two])
        return value + self.penalty(users, liked, others), value

    def estimated_hop(self, nodes: Tensor, touched: Tensor, *, reduced: bool) -> Tensor:
        """Â `nodes` at the nodes touched, from so many neighbours of each; unbiased.

        Args:
            nodes: (nodes, dim).
            touched: node numbers (n,).
            reduced: lean on the snapshot: estimate what `nodes` differs from it, and add its hop exactly.
        """
        if not self.hyper.neighbours:
            return self.hop(nodes)[touched]
        sampled, weights = self.graph.neighbours(touched.numpy(), self.hyper.neighbours, self._rng)
        sent = nodes[sampled] - self.snapshot[sampled] if reduced else nodes[sampled]
        received = (weights[..., None] * sent).sum(dim=1)
        return received + self.snapshot_hop[touched] if reduced else received

    def served(self) -> ServedItems:
        """A user's Z is (1 - α) times the hop over the history, and α times the user's own vector."""
        users, items = self()
        given = (1 - self.hyper.alpha) * items * self.graph.inverse_roots[1]
        return empty(self.hyper, self.graph.n_items).fill(self.graph, users, items, given)


class _Implicit(torch.autograd.Function):
    """One hop towards the fixed point, and towards that of the gradient on the way back."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, touched: Tensor, net: LTGNNNet) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.net, ctx.touched = net, touched
        alpha = net.hyper.alpha
        received = net.estimated_hop(net.memory, touched, reduced=True)
        net.memory[touched] = (1 - alpha) * received + alpha * own[touched]
        return net.memory.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        net, touched = ctx.net, ctx.touched
        alpha = net.hyper.alpha
        received = net.estimated_hop(net.slope, touched, reduced=False)
        net.slope[touched] = (1 - alpha) * received + alpha * gradients[0][touched]
        found = torch.zeros_like(net.slope)
        found[touched] = net.slope[touched]
        return found, None, None


def empty(hyper: Hyper, items: int) -> ServedItems:
    """What answers, before it holds numbers."""
    return ServedItems(items, hyper.dim, hyper.ridge, own=hyper.alpha)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Progress | None = None, hyper: Hyper | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    chosen = hyper or Hyper()
    return learn(
        "ltgnn", ARCHITECTURE, lambda graph: LTGNNNet(graph, chosen), chosen, dataset,
        seed=seed, out=out, progress=progress,
    )  # fmt: skip


def load(folder: Path) -> tuple[ServedItems, tuple[str, ...]]:
    """What answers, and its item ids; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "ltgnn", ARCHITECTURE, lambda hyper, items: empty(Hyper(**hyper), items))
