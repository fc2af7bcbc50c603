"""NCF (He et al., "Neural Collaborative Filtering", WWW 2017): NeuMF, a factor model and a perceptron side by side.

The paper feeds the one-hot number of the user, and says that the input may as well describe the user by neighbours.
That is the form here, because the loss of the perceptron is not convex in a user's vector, so that folding a user in
would have no one answer: a user is the set of their items, Σ_i p_i / sqrt(h), in both halves. In training an item is
taken out of the set before it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.targets.zoo import training
from audit.targets.zoo.bipartite import Bipartite
from audit.targets.zoo.collaborative_model import CollaborativeHyper, CollaborativeNet, ServedNet, learn
from audit.targets.zoo.training import Progress

ARCHITECTURE = "NCF-history"


@dataclass(frozen=True)
class Hyper(CollaborativeHyper):
    """Hyper-parameters. The defaults are what `recaudit train ncf` uses.

    `dim` is shared: half of it for the factors, half for what the perceptron reads of a user, and as much of an item.

    Attributes:
        hidden: widths of the perceptron's layers, halved from the first to the last as in the paper.
        drawn: items drawn against each item of a history.
    """

    hidden: int = 64
    drawn: int = 4
    std: float = 0.1
    rate: float = 2e-3
    ridge: float = 1e-4
    batch: int = 4096
    epochs: int = 15


class Scorer(ServedNet):
    """A user's description and an item's vector to one logit (equation 12).

    Args:
        items: number of items.
        hyper: hyper-parameters.
    """

    def __init__(self, items: int, hyper: Hyper) -> None:
        super().__init__()
        self.factors = hyper.dim // 2
        self.given = nn.Parameter(torch.randn(items, hyper.dim) * hyper.std)
        self.item = nn.Parameter(torch.randn(items, hyper.dim) * hyper.std)
        read = hyper.dim - self.factors
        self.of_user, self.of_item = nn.Linear(read, hyper.hidden), nn.Linear(read, hyper.hidden, bias=False)
        self.narrow = nn.Linear(hyper.hidden, hyper.hidden // 2)
        self.last = nn.Linear(self.factors + hyper.hidden // 2, 1)
        self.register_buffer("typical", torch.zeros(hyper.dim))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """(…, dim) each to logits (…)."""
        products = users[..., : self.factors] * items[..., : self.factors]
        # One layer over two vectors side by side is the sum of a layer on each.
        hidden = functional.relu(self.of_user(users[..., self.factors :]) + self.of_item(items[..., self.factors :]))
        joined = torch.cat([products, functional.relu(self.narrow(hidden))], dim=-1)
        logits: Tensor = self.last(joined)[..., 0]
        return logits

    @torch.inference_mode()
    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items); without a history, those of the mean of the training's users."""
        # One by one: then no neighbour changes the last digit.
        return np.stack([self._score_one(np.unique(history)) for history in histories])

    def _score_one(self, history: IntArray) -> FloatArray:
        user = self.given[history].sum(dim=0) / np.sqrt(len(history)) if len(history) else self.get_buffer("typical")
        scores: FloatArray = self(user.expand_as(self.item), self.item).double().numpy()
        return scores


class NCFNet(CollaborativeNet):
    """The scorer over the graph.

    Args:
        graph: who has what.
        hyper: hyper-parameters.
    """

    def __init__(self, graph: Bipartite, hyper: Hyper) -> None:
        super().__init__(graph)
        self.negatives, self.ridge = hyper.drawn, hyper.ridge
        self.scorer = Scorer(graph.n_items, hyper)
        self.degrees = torch.from_numpy(graph.user_degrees).float()[:, None]

    def sums(self) -> Tensor:
        """Σ_i p_i over each user's items, (users, dim)."""
        # `hop` weighs by both degrees; undoing that is cheaper than a matrix of its own.
        users, items = self.graph.inverse_roots
        nobody = torch.zeros(self.graph.n_users, self.scorer.given.shape[1])
        found, _ = self.graph.hop(nobody, self.scorer.given / items)
        return found / users

    def loss(self, users: Tensor, liked: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """Binary cross-entropy over one item of the history and `drawn` others (equation 7)."""
        sums, degrees = self.sums()[users], self.degrees[users]
        known = sums / degrees.sqrt()
        # Else the item that is asked for would stand in the question.
        without = (sums - self.scorer.given[liked]) / (degrees - 1).clamp(min=1).sqrt()
        yes = self.scorer(without, self.scorer.item[liked])
        no = self.scorer(known[:, None].expand(-1, others.shape[1], -1), self.scorer.item[others])
        value = (functional.softplus(-yes).sum() + functional.softplus(no).sum()) / (yes.numel() + no.numel())
        squares = self.scorer.item[liked].square().sum() + self.scorer.given[liked].square().sum()
        return value + self.ridge / 2 * squares / len(users), value

    @torch.no_grad()
    def served(self) -> Scorer:
        """The scorer, and the mean user."""
        self.scorer.get_buffer("typical").copy_((self.sums() / self.degrees.clamp(min=1).sqrt()).mean(dim=0))
        return self.scorer.eval()


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Progress | None = None, hyper: Hyper | None = None
) -> dict[str, float]:
    """Train on `dataset` and save to `out`; see `audit.targets.zoo.collaborative_model.learn`."""
    chosen = hyper or Hyper()
    return learn(
        "ncf", ARCHITECTURE, lambda graph: NCFNet(graph, chosen), chosen, dataset,
        seed=seed, out=out, progress=progress,
    )  # fmt: skip


def load(folder: Path) -> tuple[Scorer, tuple[str, ...]]:
    """What answers, and its item ids; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "ncf", ARCHITECTURE, lambda hyper, items: Scorer(items, Hyper(**hyper)))
