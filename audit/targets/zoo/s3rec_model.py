"""S3-Rec (Zhou et al., CIKM 2020): SASRec whose weights were first trained to guess what is hidden in a history.

Four losses of mutual information, read in both directions: the attributes of an item from its vector (AAP); a hidden
item (MIP) and its attributes (MAP) from what surrounds it; a hidden segment from what surrounds it (SP). Then the same
network learns the next item, as SASRec does. The contrast of MIP is with the whole catalogue and that of SP with the
other segments of the batch, where the paper draws one negative each: the more, the tighter the bound on the mutual
information (equation 3), and on a small catalogue they cost nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.data.dataset import Dataset, IntArray
from audit.targets.zoo import sasrec_model, training
from audit.targets.zoo.bert4rec_model import cloze
from audit.targets.zoo.sasrec_model import SASRecNet
from audit.targets.zoo.sequence_model import chunks, descend, finish, next_item_loss, sequences_of
from audit.targets.zoo.training import Progress, Training
from audit.types import Attributes, Catalog

ARCHITECTURE = "S3Rec-CE"


@dataclass(frozen=True)
class Hyper(sasrec_model.Hyper):
    """Hyper-parameters. The defaults are those that `recaudit train` uses.

    Attributes:
        pretraining: epochs of it; `epochs` are those that learn the next item.
        hidden: share of the items that pre-training hides.
        aap: weight of the attributes from the item's vector.
        mip: weight of the hidden item.
        map: weight of the hidden item's attributes.
        sp: weight of the hidden segment.
    """

    batch: int = 64
    epochs: int = 12
    pretraining: int = 8
    hidden: float = 0.2
    aap: float = 0.2
    mip: float = 1.0
    map: float = 1.0
    sp: float = 0.5


def attribute_table(catalog: Catalog) -> Tensor:
    """Which item has which attribute: (items, attributes), 1 or 0.

    An attribute is a word under a name, such as the genre `Drama`, that at least two items have; numbers are none.
    """
    held = [_words(item.attributes) for item in catalog.items_in_order]
    counts: dict[tuple[str, str], int] = {}
    for words in held:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    shared = sorted(word for word, count in counts.items() if count > 1)
    return torch.tensor([[float(word in words) for word in shared] for words in held]).view(len(held), len(shared))


def _words(attributes: Attributes) -> set[tuple[str, str]]:
    found = set()
    for name, value in attributes.items():
        words = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
        found |= {(name, word) for word in words}
    return found


class Pretraining(nn.Module):
    """The four losses over a SASRec, with what they need beside it and what is dropped after them.

    Args:
        net: what they train.
        held: see `attribute_table`; without attributes AAP and MAP fall away.
        hyper: weights of the losses.
    """

    held: Tensor

    def __init__(self, net: SASRecNet, held: Tensor, hyper: Hyper) -> None:
        super().__init__()
        self.net, self.hyper = net, hyper
        self.register_buffer("held", held, persistent=False)
        self.mask = nn.Parameter(0.02 * torch.randn(hyper.dim))
        self.attribute = nn.Parameter(0.02 * torch.randn(held.shape[1], hyper.dim))
        self.aap, self.mip, self.map, self.sp = (nn.Linear(hyper.dim, hyper.dim, bias=False) for _ in range(4))

    def loss(self, rows: Tensor) -> tuple[Tensor, int]:
        """The weighted sum of the four; see `audit.targets.zoo.sequence_model.RowLoss`. The rows are counted."""
        drawn, known = cloze(rows, self.hyper.hidden, 0.0), rows != 0
        items = rows[drawn] - 1
        around = self._read(rows, drawn)[drawn]
        total = self.hyper.mip * functional.cross_entropy(self.net.logits(self.mip(around)), items)
        if self.held.shape[1]:
            vectors = self.net.item(rows[known])
            total = total + self.hyper.aap * self._attribute_loss(self.aap(vectors), rows[known] - 1)
            total = total + self.hyper.map * self._attribute_loss(self.map(around), items)
        return total + self.hyper.sp * self._segment_loss(rows), len(rows)

    def _read(self, rows: Tensor, drawn: Tensor) -> Tensor:
        vectors = torch.where(drawn[..., None], self.mask, self.net.item(rows))
        return self.net.encode(vectors, rows != 0, causal=False)

    def _attribute_loss(self, read: Tensor, items: Tensor) -> Tensor:
        """Mean over the items, in nats, of the binary cross-entropies summed over the attributes."""
        logits = read @ self.attribute.T
        nats = functional.binary_cross_entropy_with_logits(logits, self.held[items], reduction="sum")
        return nats / len(items)

    def _segment_loss(self, rows: Tensor) -> Tensor:
        """Which of the batch's segments is missing, from what stands around each hole."""
        rows = rows[(rows != 0).sum(1) > 1]
        if len(rows) == 0:
            return torch.zeros(())
        inside, cut = segments(rows)
        context, segment = self._read(rows, inside)[:, -1], self._read(cut, torch.zeros_like(inside))[:, -1]
        return functional.cross_entropy(self.sp(context) @ segment.T, torch.arange(len(rows)))


def segments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """A random segment of each row: one item to half of them.

    Args:
        rows: (batch, length) indices, padded on the left, with at least two items each.

    Returns:
        (batch, length), True inside the segment; and the segments as rows of their own, padded on the left.
    """
    length = rows.shape[1]
    known = (rows != 0).sum(1)
    size = 1 + (torch.rand(len(rows)) * (known // 2)).long()
    start = length - known + (torch.rand(len(rows)) * (known - size + 1)).long()
    place = torch.arange(length)
    inside = (place >= start[:, None]) & (place < (start + size)[:, None])
    source = (place + (start + size)[:, None] - length).clamp(min=0)
    return inside, rows.gather(1, source) * (place >= length - size[:, None])


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Progress | None = None, hyper: Hyper | None = None
) -> dict[str, float]:
    """Pre-train, then train on all but the last two items of each user, and save weights and figures to `out`.

    A checkpoint is written after each epoch of either stage, as in `audit.targets.zoo.sasrec_model.train`.

    Args:
        dataset: what to learn; without attributes of its items, pre-training hides items and segments only.
        seed: of the initial weights, the cuts, the order, the hidden places and the dropout.
        out: folder to write to; made if absent.
        progress: called after each epoch; the epochs of both stages are counted through.
        hyper: hyper-parameters; None means the defaults.

    Returns:
        See `audit.targets.zoo.sequence_model.finish`.

    Raises:
        TargetError: `out` holds the checkpoint of another training.
        DataError: no user has four events.
    """
    hyper = hyper or Hyper()
    sequences = sequences_of(dataset, "s3rec")
    settings = {"dataset": dataset.digest, **asdict(hyper)}
    before, whole = hyper.pretraining, hyper.pretraining + hyper.epochs

    def shown(done: int) -> Progress | None:
        return None if progress is None else lambda epoch, _, loss: progress(done + epoch, whole, loss)

    first = Training("s3rec", out, seed, settings, shown(0), stage="pretraining")
    second = Training("s3rec", out, seed, settings, shown(before))

    def rows(rng: np.random.Generator) -> IntArray:
        # One less, as a row holds as many inputs as asked for and one more.
        return chunks(sequences, hyper.length - 1, rng)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SASRecNet(len(dataset.catalog), hyper)
        beside = Pretraining(net, attribute_table(dataset.catalog), hyper)
        descend(first, beside, hyper, before, beside.loss, rows)
        loss = descend(
            second,
            net,
            hyper,
            hyper.epochs,
            lambda batch: next_item_loss(net, batch),
            lambda rng: chunks(sequences, hyper.length, rng),
        )
    metrics = finish(second, net, ARCHITECTURE, hyper, dataset, loss)
    first.finished()
    second.finished()
    return metrics


def load(folder: Path) -> tuple[SASRecNet, tuple[str, ...]]:
    """The network and its item ids, in index order; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "s3rec", ARCHITECTURE, lambda hyper, items: SASRecNet(items, Hyper(**hyper)))
