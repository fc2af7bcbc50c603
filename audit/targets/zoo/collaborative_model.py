"""What the collaborative networks share: triples to learn from, the BPR loss, one training, the item side it leaves.

A network differs in how it turns the graph of who has what into vectors of users and items. All are trained on what
users did before their last two items, most by Bayesian personalised ranking (Rendle et al., UAI 2009): an item of the
history should score above one that is not in it. Only the item side is kept, and users are folded in when they ask
(`audit.targets.zoo.fold_in`): no vector of a person is in the weights.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.data.splits import leave_one_out
from audit.errors import DataError
from audit.targets.zoo import history_use
from audit.targets.zoo.bipartite import Bipartite
from audit.targets.zoo.fold_in import fold_in, spread
from audit.targets.zoo.protocol import ScoreFunction, hits, leave_one_out_ranks
from audit.targets.zoo.training import Progress, Training, figures, save

AGAINST = 128
"""Items that a folded-in user's history is ranked against."""


@dataclass(frozen=True)
class CollaborativeHyper:
    """Hyper-parameters of every collaborative network.

    Attributes:
        dim: width of the vectors.
        std: of the normal distribution they start from.
        rate: of Adam.
        ridge: λ, weight of half the squared length of a triple's own vectors.
        batch: triples in a step.
        epochs: passes over all edges.
    """

    dim: int = 64
    std: float = 0.1
    rate: float = 5e-3
    ridge: float = 1e-2
    batch: int = 2048
    epochs: int = 40


class ServedNet(nn.Module):
    """What answers, once training is over; see `audit.targets.zoo.collaborative.Served`."""

    def numbers(self) -> list[FloatArray]:
        """Every number that an answer depends on, for the fingerprint."""
        return [value.detach().numpy() for _, value in sorted(self.state_dict().items())]

    @abstractmethod
    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items)."""


class CollaborativeNet(nn.Module):
    """A network in training.

    Args:
        graph: who has what.
    """

    negatives = 1
    """Items drawn against each item of a history."""

    def __init__(self, graph: Bipartite) -> None:
        super().__init__()
        self.graph = graph

    def begin_epoch(self, rng: np.random.Generator) -> None:
        """Called before each epoch, with its generator."""

    @abstractmethod
    def loss(self, users: Tensor, liked: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """Of a batch of triples (n,), (n,), (n, negatives): what is minimised, and the part of it that is data."""

    @abstractmethod
    def served(self) -> ServedNet:
        """What is kept to answer requests with."""

    def scores(self) -> Tensor | None:
        """What the training's own users would score, (users, items); None if it knows no users but by their items."""
        return None


class FactorNet(CollaborativeNet):
    """A vector per user and per item, and what the graph makes of them.

    Args:
        graph: who has what.
        hyper: hyper-parameters.
    """

    def __init__(self, graph: Bipartite, hyper: CollaborativeHyper) -> None:
        super().__init__(graph)
        self.ridge = hyper.ridge
        self.user = nn.Parameter(torch.randn(graph.n_users, hyper.dim) * hyper.std)
        self.item = nn.Parameter(torch.randn(graph.n_items, hyper.dim) * hyper.std)

    @abstractmethod
    def forward(self) -> tuple[Tensor, Tensor]:
        """The vectors that score: (users, dim) and (items, dim); a score is their inner product."""

    def loss(self, users: Tensor, liked: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """See `CollaborativeNet.loss`: BPR, with a ridge on the triple's own vectors."""
        of_users, of_items = self()
        value = bpr_loss(of_users[users], of_items[liked], of_items[others[:, 0]])
        return value + self.penalty(users, liked, others), value

    def penalty(self, users: Tensor, liked: Tensor, others: Tensor) -> Tensor:
        """λ / 2 times the mean over triples of the squared lengths of their own vectors."""
        own = torch.cat([self.user[users], self.item[liked], self.item[others[:, 0]]])
        penalty: Tensor = own.square().sum() * (self.ridge / 2 / len(users))
        return penalty

    def scores(self) -> Tensor:
        """See `CollaborativeNet.scores`."""
        users, items = self()
        found: Tensor = users @ items.T
        return found


def bpr_loss(users: Tensor, liked: Tensor, others: Tensor) -> Tensor:
    """Mean of -log σ(x·(q_i - q_j)) in nats; all (n, dim)."""
    return functional.softplus((users * (others - liked)).sum(dim=1)).mean()


def triples(
    graph: Bipartite, batch: int, negatives: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Each edge once, in random order, with items that its user does not have.

    Args:
        graph: who has what. A user who has every item teaches nothing and is left out.
        batch: edges at once.
        negatives: items drawn per edge, uniformly from those that the user lacks.
        rng: draws.

    Yields:
        Users (n,), their items (n,), and other items (n, negatives).
    """
    teaching = np.flatnonzero(graph.user_degrees[graph.users] < graph.n_items)
    order = rng.permutation(teaching)
    users, items = graph.users[order], graph.items[order]
    others = rng.integers(0, graph.n_items, (len(order), negatives))
    while True:
        rows, columns = np.nonzero(graph.has(np.broadcast_to(users[:, None], others.shape), others))
        if not len(rows):
            break
        others[rows, columns] = rng.integers(0, graph.n_items, len(rows))
    parts = (torch.from_numpy(part) for part in (users, items, others))
    yield from zip(*(torch.split(part, batch) for part in parts), strict=True)


class ServedItems(ServedNet):
    """The item side of a trained network, and the user that a history describes.

    A user's vector is x = Σ_i given_i / sqrt(h) + own · p: what the graph hands on from the h items of the history, and
    the user's own vector p, which minimises the loss of the training over them (`fold_in`). Without a history it is the
    mean vector of the training's users.

    Args:
        items: number of items.
        dim: width of the vectors.
        ridge: λ of the training.
        own: how much p counts in x.
        graph: whether items give anything; else the sum is nothing.
    """

    def __init__(self, items: int, dim: int, ridge: float, own: float, *, graph: bool = True) -> None:
        super().__init__()
        self.ridge, self.own = ridge, own
        self.register_buffer("item", torch.zeros(items, dim))
        self.register_buffer("given", torch.zeros(items, dim) if graph else None)
        self.register_buffer("typical", torch.zeros(dim))
        self.register_buffer("against", torch.zeros(min(AGAINST, items), dtype=torch.int64))

    @torch.no_grad()
    def fill(self, graph: Bipartite, users: Tensor, items: Tensor, given: Tensor | None = None) -> ServedItems:
        """Take over trained vectors: of users (users, dim), of items (items, dim), and what items give (items, dim)."""
        self.get_buffer("item").copy_(items)
        self.get_buffer("typical").copy_(users.mean(dim=0))
        self.get_buffer("against").copy_(torch.from_numpy(spread(graph.item_degrees, AGAINST)))
        if given is not None:
            self.get_buffer("given").copy_(given)
        return self.eval()

    def numbers(self) -> list[FloatArray]:
        """See `ServedNet.numbers`."""
        return [*super().numbers(), np.array([self.ridge, self.own])]

    def item_vectors(self) -> FloatArray:
        """(items, dim)."""
        return self._table("item")

    def user_vectors(self, histories: Sequence[IntArray]) -> FloatArray:
        """(histories, dim) of the users with these sets of item indices; a score is the product with `item_vectors`."""
        # One by one: then no neighbour changes the last digit.
        return np.stack([self._user(np.unique(history)) for history in histories])

    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items)."""
        items = self.item_vectors()
        return np.stack([items @ user for user in self.user_vectors(histories)])

    def _user(self, history: IntArray) -> FloatArray:
        if not len(history):
            return self._table("typical")
        items, against = self._table("item"), self.get_buffer("against").numpy()
        others = items[against[~np.isin(against, history)]]
        return fold_in(items[history], others, self.ridge, lambda own: self.place(own, history))

    def place(self, own: FloatArray, history: IntArray) -> tuple[FloatArray, FloatArray]:
        """See `audit.targets.zoo.fold_in.Placing`."""
        gain = np.full(len(own), self.own)
        if self._buffers["given"] is None:
            return gain * own, gain
        return self._table("given")[history].sum(axis=0) / np.sqrt(len(history)) + gain * own, gain

    def _table(self, name: str) -> FloatArray:
        if name not in self.__dict__.setdefault("_tables", {}):
            self.__dict__["_tables"][name] = self.get_buffer(name).numpy().astype(np.float64)
        table: FloatArray = self.__dict__["_tables"][name]
        return table


def learn(
    what: str,
    architecture: str,
    make: Callable[[Bipartite], CollaborativeNet],
    hyper: CollaborativeHyper,
    dataset: Dataset,
    *,
    seed: int,
    out: Path,
    progress: Progress | None,
) -> dict[str, float]:
    """Train on all but the last two items of each user, and save what answers requests to `out`.

    A checkpoint is written after each epoch; called again with the same arguments, training goes on from there and
    ends with the weights of a run that was never stopped. Nothing is selected on held-out items.

    Args:
        what: name of the target.
        architecture: under which its weights are filed.
        make: a fresh network over the graph of the training part.
        hyper: hyper-parameters, all that `make` uses.
        dataset: what to learn.
        seed: of the first vectors, the order of the triples and the items drawn.
        out: folder to write to; made if absent.
        progress: called after each epoch.

    Returns:
        The last epoch's mean loss over triples; HR@10 and NDCG@10 on the validation and the test item (`valid_hr@10`,
        …) with users folded in; `valid_hr@10_trained_users`, with the vectors that the training gave its users where
        it has any; and HR@10 on the test item without the user's own history in its order (`test_hr@10_shuffled`, …).

    Raises:
        TargetError: `out` holds the checkpoint of another training.
        DataError: no user has three events, or each user has every item.
    """
    graph = graph_of(dataset, what)
    settings = {"dataset": dataset.digest, "architecture": architecture, **asdict(hyper)}
    run = Training(what, out, seed, settings, progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make(graph)
        optimizer = torch.optim.Adam(net.parameters(), lr=hyper.rate)

        def epoch(number: int) -> float:
            return _epoch(net, optimizer, hyper.batch, np.random.default_rng([seed, number]))

        loss = run.epochs(net, optimizer, hyper.epochs, epoch)
    served = net.eval().served()
    score = _remembering(served.score)
    report = history_use.evaluate(score, dataset, rng=np.random.default_rng([seed, 0]))
    metrics = {"loss": loss, **figures(score, dataset), **_trained_users(net, dataset)}
    save(served, architecture, asdict(hyper), list(dataset.catalog), out)
    history_use.write(report, out)
    run.finished()
    return metrics | history_use.summary(report)


def graph_of(dataset: Dataset, what: str) -> Bipartite:
    """Who has what, before the last two items of each user.

    Raises:
        DataError: no user has three events, or each user has every item.
    """
    graph = Bipartite(list(leave_one_out(dataset).train.values()), len(dataset.catalog))
    if (graph.user_degrees == graph.n_items).all():
        raise DataError(
            f"dataset {dataset.name}: {what} learns which items a user prefers to others, and each user has every item "
            "of the catalogue; it needs more items"
        )
    return graph


def _epoch(net: CollaborativeNet, optimizer: torch.optim.Optimizer, batch: int, rng: np.random.Generator) -> float:
    net.train()
    net.begin_epoch(rng)
    total, count = 0.0, 0
    for users, liked, others in triples(net.graph, batch, net.negatives, rng):
        objective, value = net.loss(users, liked, others)
        optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total, count = total + value.item() * len(users), count + len(users)
    return total / count


def _remembering(score: ScoreFunction) -> ScoreFunction:
    """The same scores, each set of items asked once: most conditions of `history_use` ask the same sets again."""
    known: dict[bytes, FloatArray] = {}

    def remembered(histories: Sequence[IntArray]) -> FloatArray:
        sets = [np.unique(history) for history in histories]
        for items in sets:
            if items.tobytes() not in known:
                known[items.tobytes()] = score([items])[0]
        return np.stack([known[items.tobytes()] for items in sets])

    return remembered


@torch.no_grad()
def _trained_users(net: CollaborativeNet, dataset: Dataset) -> dict[str, float]:
    scores = net.scores()
    if scores is None:
        return {}
    rows = iter(scores.double().numpy())
    ranks = leave_one_out_ranks(lambda batch: np.stack([next(rows) for _ in batch]), dataset, "valid")
    return {"valid_hr@10_trained_users": float(hits(ranks, 10).mean())}
