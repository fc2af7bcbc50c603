"""What the networks share that read a history as a sequence: rows to learn from, one training, one way of scoring.

A network differs in how it turns a sequence into states and in what it learns from a row. The rest is here, once: how
histories are cut, padded and scored, the loop over batches, and what a finished training leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.data.splits import leave_one_out
from audit.errors import DataError
from audit.targets.zoo import history_use
from audit.targets.zoo.training import Training, figures, save

RowLoss = Callable[[Tensor], tuple[Tensor, int]]
"""Rows (batch, columns), see `chunks`, to the mean loss in nats and over how many predictions it is the mean."""


@dataclass(frozen=True)
class SequenceHyper:
    """Hyper-parameters of every sequence network.

    Attributes:
        dim: width of the item vectors and the states.
        length: of the longest sequence read; older items are left out.
        dropout: share of activations dropped in training.
        rate: of Adam.
        batch: rows in a step.
        epochs: passes over all rows.
    """

    dim: int = 64
    length: int = 50
    dropout: float = 0.2
    rate: float = 1e-3
    batch: int = 256
    epochs: int = 30


class SequenceNet(nn.Module):
    """Item sequence to a score for each item as the next one. Index 0 pads on the left; item i has index i + 1.

    Args:
        items: number of items.
        hyper: hyper-parameters.
        spare: further indices behind the items, such as a mask; they are never recommended.
    """

    def __init__(self, items: int, hyper: SequenceHyper, *, spare: int = 0) -> None:
        super().__init__()
        self.items, self.length = items, hyper.length
        self.item = nn.Embedding(items + 1 + spare, hyper.dim, padding_idx=0)

    def draw_item_vectors(self, std: float = 0.02) -> None:
        """Small random item vectors; the padding stays zero."""
        nn.init.normal_(self.item.weight, std=std)
        with torch.no_grad():
            self.item.weight[0] = 0

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, dim) to a score per item (…, items): the inner product with the item's embedding."""
        return hidden @ self.item.weight[1 : self.items + 1].T

    def next_logits(self, sequences: Tensor) -> Tensor:
        """(batch, length) indices to the scores (batch, items) of what follows the last position."""
        return self.logits(self(sequences)[:, -1])

    @torch.inference_mode()
    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items) of every item as the next one; an empty history is read as one padded position."""
        self.eval()
        # One by one: it takes about as long as a batch at this size, and no neighbour changes the last digit.
        return np.stack([self._score_one(np.asarray(history, dtype=np.int64)) for history in histories])

    def _score_one(self, history: IntArray) -> FloatArray:
        recent = history[-self.length :] + 1 if len(history) else np.zeros(1, dtype=np.int64)
        scores: FloatArray = self.next_logits(torch.from_numpy(recent)[None])[0].double().numpy()
        return scores


def next_item_loss(net: SequenceNet, rows: Tensor, weights: Tensor | None = None) -> tuple[Tensor, int]:
    """Cross-entropy over all items at every step of the rows; see `RowLoss`.

    Args:
        net: whose state at a position has read nothing behind it.
        rows: (batch, length + 1).
        weights: (items,) how much each counts as a target; None for all alike.
    """
    inputs, targets = rows[:, :-1], rows[:, 1:]
    known = inputs != 0
    loss = functional.cross_entropy(net.logits(net(inputs)[known]), targets[known] - 1, weight=weights)
    return loss, int(known.sum())


def chunks(sequences: Sequence[IntArray], length: int, rng: np.random.Generator) -> IntArray:
    """Cut sequences into training rows of `length` inputs and their next items.

    The first cut of each sequence is random, so that over the epochs every event is seen behind contexts of every
    length. Every step from one item to the next is in exactly one row.

    Returns:
        (rows, length + 1) item indices plus 1, zero-padded on the left.
    """
    rows = []
    for items in sequences:
        steps = len(items) - 1
        bounds = [0, *range(int(rng.integers(1, length + 1)), steps, length), steps]
        for start, stop in pairwise(bounds):
            piece = items[start : stop + 1] + 1
            rows.append(np.pad(piece, (length + 1 - len(piece), 0)))
    return np.stack(rows)


def sequences_of(dataset: Dataset, what: str) -> list[IntArray]:
    """What each user lets a network learn: all but the last two items, oldest first; users with one item teach no step.

    Raises:
        DataError: no user has three events, or none has a step to learn from.
    """
    sequences = [items for items in leave_one_out(dataset).train.values() if len(items) > 1]
    if not sequences:
        raise DataError(
            f"dataset {dataset.name}: {what} learns steps from one item to the next, and two items of each user are "
            "held out; it needs a user with at least 4 events, and there is none"
        )
    return sequences


def descend(
    run: Training,
    net: nn.Module,
    hyper: SequenceHyper,
    epochs: int,
    loss: RowLoss,
    rows: Callable[[np.random.Generator], IntArray],
) -> float:
    """Minimise a loss over rows with Adam, by `Training.epochs`.

    Args:
        run: which training.
        net: all that is trained.
        hyper: rate and batch.
        epochs: how many.
        loss: of a batch of rows.
        rows: those of an epoch, cut with the generator given.

    Returns:
        The mean loss of the last epoch.
    """
    optimizer = torch.optim.Adam(net.parameters(), lr=hyper.rate)

    def epoch(number: int) -> float:
        net.train()
        rng = np.random.default_rng([run.seed, number])
        cut = torch.from_numpy(rows(rng))
        cut = cut[torch.from_numpy(rng.permutation(len(cut)))]
        total, count = 0.0, 0
        for batch in torch.split(cut, hyper.batch):
            value, predictions = loss(batch)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total, count = total + value.item() * predictions, count + predictions
        return total / count

    return run.epochs(net, optimizer, epochs, epoch)


def finish(
    run: Training, net: SequenceNet, architecture: str, hyper: SequenceHyper, dataset: Dataset, loss: float
) -> dict[str, float]:
    """Measure a trained network and write it to the training's folder: weights, configuration, `evaluation.json`.

    Returns:
        The last epoch's `loss`; HR@10 and NDCG@10 on the validation and the test item (`valid_hr@10`, …); and HR@10 on
        the test item without the user's own history in its order (`test_hr@10_shuffled`, …).
    """
    rng = np.random.default_rng([run.seed, 0])
    report = history_use.evaluate(net.score, dataset, rng=rng, window=hyper.length)
    metrics = {"loss": loss, **figures(net.score, dataset), **history_use.summary(report)}
    save(net, architecture, asdict(hyper), list(dataset.catalog), run.out)
    history_use.write(report, run.out)
    return metrics
