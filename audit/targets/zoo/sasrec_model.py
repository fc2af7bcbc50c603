"""SASRec (Kang and McAuley, ICDM 2018) trained with cross-entropy over all items: the network and its training.

The original trains with one sampled negative per step. Cross-entropy over the whole catalogue, as in BERT4Rec, is what
makes the architecture competitive (Klenitskiy and Vasilev, RecSys 2023), and costs nothing on a small catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.data.splits import leave_one_out
from audit.targets.zoo import training
from audit.targets.zoo.training import Progress, Training, figures, save

ARCHITECTURE = "SASRec-CE"


@dataclass(frozen=True)
class Hyper:
    """Hyper-parameters. The defaults are those of the shipped weights."""

    dim: int = 64
    layers: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.2
    rate: float = 1e-3
    batch: int = 256
    epochs: int = 30


class Block(nn.Module):
    """One pre-norm transformer layer with causal attention."""

    def __init__(self, hyper: Hyper) -> None:
        super().__init__()
        self.heads = hyper.heads
        self.dropout = hyper.dropout
        self.before = nn.LayerNorm(hyper.dim)
        self.joint = nn.Linear(hyper.dim, 3 * hyper.dim)
        self.out = nn.Linear(hyper.dim, hyper.dim)
        self.between = nn.LayerNorm(hyper.dim)
        self.wide = nn.Linear(hyper.dim, hyper.dim)
        self.narrow = nn.Linear(hyper.dim, hyper.dim)

    def forward(self, hidden: Tensor, visible: Tensor) -> Tensor:
        """(batch, length, dim) and the boolean mask (batch, 1, length, length) to (batch, length, dim)."""
        rows, length, dim = hidden.shape
        parts = self.joint(self.before(hidden)).view(rows, length, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        rate = self.dropout if self.training else 0.0
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=rate)
        read = self.out(read.transpose(1, 2).reshape(rows, length, dim))
        hidden = hidden + functional.dropout(read, rate, self.training)
        inner = functional.dropout(functional.relu(self.wide(self.between(hidden))), rate, self.training)
        return hidden + functional.dropout(self.narrow(inner), rate, self.training)


class SASRecNet(nn.Module):
    """Item sequence to a score for each item as the next one. Index 0 pads on the left; item i has index i + 1."""

    def __init__(self, items: int, hyper: Hyper) -> None:
        super().__init__()
        self.hyper = hyper
        self.item = nn.Embedding(items + 1, hyper.dim, padding_idx=0)
        self.position = nn.Embedding(hyper.length, hyper.dim)
        self.blocks = nn.ModuleList(Block(hyper) for _ in range(hyper.layers))
        self.last = nn.LayerNorm(hyper.dim)
        for table in (self.item, self.position):
            nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.item.weight[0] = 0

    def forward(self, sequences: Tensor) -> Tensor:
        """(batch, length) indices, padded on the left, to hidden states (batch, length, dim)."""
        length = sequences.shape[1]
        hidden = self.item(sequences) * math.sqrt(self.hyper.dim) + self.position.weight[-length:]
        hidden = functional.dropout(hidden, self.hyper.dropout, self.training)
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        # A padded position may see itself, so that no row of the attention is empty (an empty row gives NaN).
        visible = (causal & (sequences != 0)[:, None, :]) | torch.eye(length, dtype=torch.bool)
        for block in self.blocks:
            hidden = block(hidden, visible[:, None])
        return self.last(hidden)  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, dim) to a score per item (…, items): the inner product with the item's embedding."""
        return hidden @ self.item.weight[1:].T

    @torch.inference_mode()
    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items) of every item as the next one; without a history, from the last position alone."""
        self.eval()
        # One by one: it takes about as long as a batch at this size, and no neighbour changes the last digit.
        return np.stack([self._score_one(np.asarray(history, dtype=np.int64)) for history in histories])

    def _score_one(self, history: IntArray) -> FloatArray:
        recent = history[-self.hyper.length :] + 1 if len(history) else np.zeros(1, dtype=np.int64)
        scores: FloatArray = self.logits(self(torch.from_numpy(recent)[None])[0, -1]).double().numpy()
        return scores


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


def train(
    dataset: Dataset,
    *,
    seed: int,
    out: Path,
    progress: Progress | None = None,
    hyper: Hyper | None = None,
    item_weights: FloatArray | None = None,
) -> dict[str, float]:
    """Train on all but the last two items of each user, and save weights, item order and configuration to `out`.

    A checkpoint is written after each epoch; called again with the same arguments, training goes on from there and
    ends with the weights of a run that was never stopped. Nothing is selected on held-out items.

    Args:
        dataset: what to learn.
        seed: of the initial weights, the chunk offsets, the order and the dropout.
        out: folder to write to; made if absent.
        progress: called after each epoch.
        hyper: hyper-parameters; None means the defaults.
        item_weights: (n_items,) how much each item counts as a target, in the catalogue's order; None for all alike.

    Returns:
        HR@10 and NDCG@10 on the validation and the test item (`valid_hr@10`, …), and the last epoch's `loss`.

    Raises:
        TargetError: `out` holds the checkpoint of another training.
        DataError: no user has three events.
        ValueError: `item_weights` are not one number above 0 per item.
    """
    hyper = hyper or Hyper()
    weights = None if item_weights is None else _weights(item_weights, len(dataset.catalog))
    sequences = list(leave_one_out(dataset).train.values())
    given = {} if weights is None else {"item_weights": weights.tolist()}
    run = Training("sasrec", out, seed, {"dataset": dataset.digest, **asdict(hyper), **given}, progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SASRecNet(len(dataset.catalog), hyper)
        optimizer = torch.optim.Adam(net.parameters(), lr=hyper.rate)

        def epoch(number: int) -> float:
            return _epoch(net, optimizer, sequences, np.random.default_rng([seed, number]), weights)

        loss = run.epochs(net, optimizer, hyper.epochs, epoch)
    metrics = {"loss": loss, **figures(net.score, dataset)}
    save(net, ARCHITECTURE, asdict(hyper), list(dataset.catalog), out)
    run.finished()
    return metrics


def _weights(item_weights: FloatArray, items: int) -> Tensor:
    if item_weights.shape != (items,) or not (np.isfinite(item_weights).all() and (item_weights > 0).all()):
        raise ValueError(f"item_weights: they must be {items} finite numbers above 0, one for each item")
    return torch.from_numpy(item_weights.astype(np.float32))


def _epoch(
    net: SASRecNet,
    optimizer: torch.optim.Optimizer,
    sequences: Sequence[IntArray],
    rng: np.random.Generator,
    weights: Tensor | None = None,
) -> float:
    net.train()
    rows = torch.from_numpy(chunks(sequences, net.hyper.length, rng))
    rows = rows[torch.from_numpy(rng.permutation(len(rows)))]
    total, count = 0.0, 0
    for batch in torch.split(rows, net.hyper.batch):
        inputs, targets = batch[:, :-1], batch[:, 1:]
        known = inputs != 0
        loss = functional.cross_entropy(net.logits(net(inputs)[known]), targets[known] - 1, weight=weights)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total, count = total + loss.item() * int(known.sum()), count + int(known.sum())
    return total / count


def load(folder: Path) -> tuple[SASRecNet, tuple[str, ...]]:
    """The network and its item ids, in index order; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "sasrec", ARCHITECTURE, lambda hyper, items: SASRecNet(items, Hyper(**hyper)))
