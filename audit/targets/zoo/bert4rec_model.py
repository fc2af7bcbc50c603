"""BERT4Rec (Sun et al., CIKM 2019): hidden items are guessed from both sides; the network and its training.

At the end of a history stands a hidden item: the next one. As training hides items anywhere, and the question is always
about the last place, a share of the rows hides the last item alone, as in the paper (section 3.6).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.data.dataset import Dataset, IntArray
from audit.targets.zoo import training
from audit.targets.zoo.sequence_model import SequenceHyper, SequenceNet, chunks, descend, finish, sequences_of
from audit.targets.zoo.training import Progress, Training

ARCHITECTURE = "BERT4Rec"


@dataclass(frozen=True)
class Hyper(SequenceHyper):
    """Hyper-parameters. The defaults are those that `recaudit train` uses.

    Attributes:
        layers: of the encoder.
        heads: of each layer.
        hidden: share of the items that a training row hides.
        last_only: share of the training rows that hide their last item alone.
    """

    layers: int = 2
    heads: int = 2
    hidden: float = 0.4
    last_only: float = 0.1
    batch: int = 64
    epochs: int = 60


class BERT4RecNet(SequenceNet):
    """Self-attention in both directions over items, hidden items and their positions. The last index is the mask."""

    def __init__(self, items: int, hyper: Hyper) -> None:
        super().__init__(items, hyper, spare=1)
        self.hyper = hyper
        self.mask = items + 1
        self.position = nn.Embedding(hyper.length, hyper.dim)
        self.first = nn.LayerNorm(hyper.dim)
        layer = nn.TransformerEncoderLayer(
            hyper.dim, hyper.heads, 4 * hyper.dim, hyper.dropout, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, hyper.layers, enable_nested_tensor=False)
        self.head = nn.Linear(hyper.dim, hyper.dim)
        self.norm = nn.LayerNorm(hyper.dim)
        self.bias = nn.Parameter(torch.zeros(items))
        self.draw_item_vectors()
        nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, sequences: Tensor) -> Tensor:
        """(batch, length) indices, padded on the left, to hidden states (batch, length, dim)."""
        vectors = self.item(sequences) + self.position.weight[-sequences.shape[1] :]
        vectors = functional.dropout(self.first(vectors), self.hyper.dropout, self.training)
        return self.encoder(vectors, src_key_padding_mask=sequences == 0)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, dim) to a score per item (…, items), equation 7 of the paper."""
        return super().logits(self.norm(functional.gelu(self.head(hidden)))) + self.bias

    def next_logits(self, sequences: Tensor) -> Tensor:
        """(batch, length) indices to the scores (batch, items) of a hidden item that follows them."""
        asked = torch.full((len(sequences), 1), self.mask)
        recent = sequences[:, -(self.length - 1) :]
        # An empty history is one padded position: nothing but the mask is left.
        return self.logits(self(torch.cat([recent, asked], 1))[:, -1])


def cloze(rows: Tensor, hidden: float, last_only: float) -> Tensor:
    """Which items of training rows are hidden: at least one in each row, never the padding.

    Args:
        rows: (batch, length) indices, padded on the left.
        hidden: share of the items.
        last_only: share of the rows that hide their last item alone.

    Returns:
        (batch, length), True where hidden; drawn with torch's generator.
    """
    drawn = (torch.rand(rows.shape) < hidden) & (rows != 0)
    drawn[torch.rand(len(rows)) < last_only] = False
    drawn[:, -1] |= ~drawn.any(1)
    return drawn


def cloze_loss(net: BERT4RecNet, rows: Tensor) -> tuple[Tensor, int]:
    """Cross-entropy over all items at the hidden places; see `audit.targets.zoo.sequence_model.RowLoss`."""
    drawn = cloze(rows, net.hyper.hidden, net.hyper.last_only)
    loss = functional.cross_entropy(net.logits(net(rows.masked_fill(drawn, net.mask))[drawn]), rows[drawn] - 1)
    return loss, int(drawn.sum())


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Progress | None = None, hyper: Hyper | None = None
) -> dict[str, float]:
    """Train on all but the last two items of each user, and save weights, item order and figures to `out`.

    A checkpoint is written after each epoch, as in `audit.targets.zoo.sasrec_model.train`.

    Args:
        dataset: what to learn.
        seed: of the initial weights, the cuts, the order, the hidden places and the dropout.
        out: folder to write to; made if absent.
        progress: called after each epoch.
        hyper: hyper-parameters; None means the defaults.

    Returns:
        See `audit.targets.zoo.sequence_model.finish`.

    Raises:
        TargetError: `out` holds the checkpoint of another training.
        DataError: no user has four events.
    """
    hyper = hyper or Hyper()
    sequences = sequences_of(dataset, "bert4rec")
    run = Training("bert4rec", out, seed, {"dataset": dataset.digest, **asdict(hyper)}, progress)

    def rows(rng: np.random.Generator) -> IntArray:
        # One less, as a row holds as many inputs as asked for and one more.
        return chunks(sequences, hyper.length - 1, rng)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = BERT4RecNet(len(dataset.catalog), hyper)
        loss = descend(run, net, hyper, hyper.epochs, lambda batch: cloze_loss(net, batch), rows)
    metrics = finish(run, net, ARCHITECTURE, hyper, dataset, loss)
    run.finished()
    return metrics


def load(folder: Path) -> tuple[BERT4RecNet, tuple[str, ...]]:
    """The network and its item ids, in index order; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "bert4rec", ARCHITECTURE, lambda hyper, items: BERT4RecNet(items, Hyper(**hyper)))
