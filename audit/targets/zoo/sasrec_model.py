"""SASRec (Kang and McAuley, ICDM 2018) trained with cross-entropy over all items: the network and its training.

The original trains with one sampled negative per step. Cross-entropy over the whole catalogue, as in BERT4Rec, is what
makes the architecture competitive (Klenitskiy and Vasilev, RecSys 2023), and costs nothing on a small catalogue.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.data.dataset import Dataset, FloatArray
from audit.targets.zoo import training
from audit.targets.zoo.sequence_model import (
    SequenceHyper,
    SequenceNet,
    chunks,
    descend,
    finish,
    next_item_loss,
    sequences_of,
)
from audit.targets.zoo.training import Progress, Training

ARCHITECTURE = "SASRec-CE"


@dataclass(frozen=True)
class Hyper(SequenceHyper):
    """Hyper-parameters. The defaults are those of the shipped weights."""

    layers: int = 2
    heads: int = 2


class Block(nn.Module):
    """One pre-norm transformer layer."""

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


class SASRecNet(SequenceNet):
    """Self-attention over the items and their positions."""

    def __init__(self, items: int, hyper: Hyper) -> None:
        super().__init__(items, hyper)
        self.hyper = hyper
        self.position = nn.Embedding(hyper.length, hyper.dim)
        self.blocks = nn.ModuleList(Block(hyper) for _ in range(hyper.layers))
        self.last = nn.LayerNorm(hyper.dim)
        self.draw_item_vectors()
        nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, sequences: Tensor) -> Tensor:
        """(batch, length) indices, padded on the left, to hidden states (batch, length, dim) that see no later item."""
        return self.encode(self.item(sequences), sequences != 0)

    def encode(self, vectors: Tensor, known: Tensor, *, causal: bool = True) -> Tensor:
        """Item vectors (batch, length, dim) to hidden states of the same shape.

        Args:
            vectors: padded on the left.
            known: (batch, length), False where padded.
            causal: whether a position sees only itself and what is before it; if not, all of the sequence.
        """
        length = known.shape[1]
        hidden = vectors * math.sqrt(self.hyper.dim) + self.position.weight[-length:]
        hidden = functional.dropout(hidden, self.hyper.dropout, self.training)
        seen = torch.ones(length, length, dtype=torch.bool)
        # A padded position may see itself, so that no row of the attention is empty (an empty row gives NaN).
        visible = ((seen.tril() if causal else seen) & known[:, None, :]) | torch.eye(length, dtype=torch.bool)
        for block in self.blocks:
            hidden = block(hidden, visible[:, None])
        return self.last(hidden)  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped


def train(
    dataset: Dataset,
    *,
    seed: int,
    out: Path,
    progress: Progress | None = None,
    hyper: Hyper | None = None,
    item_weights: FloatArray | None = None,
) -> dict[str, float]:
    """Train on all but the last two items of each user, and save weights, item order and figures to `out`.

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
        See `audit.targets.zoo.sequence_model.finish`.

    Raises:
        TargetError: `out` holds the checkpoint of another training.
        DataError: no user has four events.
        ValueError: `item_weights` are not one number above 0 per item.
    """
    hyper = hyper or Hyper()
    weights = None if item_weights is None else _weights(item_weights, len(dataset.catalog))
    sequences = sequences_of(dataset, "sasrec")
    given = {} if weights is None else {"item_weights": weights.tolist()}
    run = Training("sasrec", out, seed, {"dataset": dataset.digest, **asdict(hyper), **given}, progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SASRecNet(len(dataset.catalog), hyper)
        loss = descend(
            run,
            net,
            hyper,
            hyper.epochs,
            lambda rows: next_item_loss(net, rows, weights),
            lambda rng: chunks(sequences, hyper.length, rng),
        )
    metrics = finish(run, net, ARCHITECTURE, hyper, dataset, loss)
    run.finished()
    return metrics


def _weights(item_weights: FloatArray, items: int) -> Tensor:
    if item_weights.shape != (items,) or not (np.isfinite(item_weights).all() and (item_weights > 0).all()):
        raise ValueError(f"item_weights: they must be {items} finite numbers above 0, one for each item")
    return torch.from_numpy(item_weights.astype(np.float32))


def load(folder: Path) -> tuple[SASRecNet, tuple[str, ...]]:
    """The network and its item ids, in index order; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "sasrec", ARCHITECTURE, lambda hyper, items: SASRecNet(items, Hyper(**hyper)))
