"""Mamba4Rec (Liu et al., 2024): the next item from a selective state space; the network and its training.

The state-space block is that of transformers, which in training runs the parallel scan of mambapy. Around it stands
what the paper adds: dropout, layer norms and a feed-forward layer, and no residual connection where there is one block.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.data.dataset import Dataset
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

ARCHITECTURE = "Mamba4Rec"


@dataclass(frozen=True)
class Hyper(SequenceHyper):
    """Hyper-parameters. The defaults are those that `recaudit train` uses.

    Attributes:
        length: 32, for the parallel scan pads to a power of two.
        batch: 32: larger ones leave the processor's cache and take longer.
        layers: of state-space block and feed-forward.
        state: numbers that each channel remembers.
        kernel: steps that the convolution before the state space sees.
        expand: channels per width.
    """

    length: int = 32
    batch: int = 32
    epochs: int = 10
    layers: int = 1
    state: int = 32
    kernel: int = 4
    expand: int = 2


class Layer(nn.Module):
    """State-space block and feed-forward layer."""

    def __init__(self, mixer: nn.Module, hyper: Hyper) -> None:
        super().__init__()
        self.residual = hyper.layers > 1
        self.dropout = hyper.dropout
        self.mixer = mixer
        self.between = nn.LayerNorm(hyper.dim)
        self.wide = nn.Linear(hyper.dim, 4 * hyper.dim)
        self.narrow = nn.Linear(4 * hyper.dim, hyper.dim)
        self.after = nn.LayerNorm(hyper.dim)

    def forward(self, hidden: Tensor, known: Tensor) -> Tensor:
        """(batch, length, dim), and (batch, length) of 1 and, where padded, 0, to (batch, length, dim)."""
        read = functional.dropout(self.mixer(hidden, attention_mask=known), self.dropout, self.training)
        hidden = self.between(read + hidden if self.residual else read)
        inner = functional.dropout(functional.gelu(self.wide(hidden)), self.dropout, self.training)
        return self.after(hidden + functional.dropout(self.narrow(inner), self.dropout, self.training))  # type: ignore[no-any-return]


class Mamba4RecNet(SequenceNet):
    """A selective state space over the items; the order is in the recurrence, so there are no positions."""

    def __init__(self, items: int, hyper: Hyper) -> None:
        super().__init__(items, hyper)
        self.hyper = hyper
        self.first = nn.LayerNorm(hyper.dim)
        self.layers = nn.ModuleList(Layer(mixer, hyper) for mixer in _mixers(hyper))
        self.draw_item_vectors()

    def forward(self, sequences: Tensor) -> Tensor:
        """(batch, length) indices, padded on the left, to hidden states (batch, length, dim) that see no later item."""
        hidden: Tensor = self.first(functional.dropout(self.item(sequences), self.hyper.dropout, self.training))
        known = (sequences != 0).to(hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, known)
        return hidden


def _mixers(hyper: Hyper) -> list[nn.Module]:
    import transformers

    untyped: Any = transformers
    logging = untyped.utils.logging
    config = untyped.MambaConfig(
        vocab_size=1,
        hidden_size=hyper.dim,
        state_size=hyper.state,
        conv_kernel=hyper.kernel,
        expand=hyper.expand,
        num_hidden_layers=hyper.layers,
        initializer_range=0.02,
        use_mambapy=True,
    )
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # it would say that there are no CUDA kernels
    try:
        # By way of the whole model, whose constructor draws the step sizes as the authors of Mamba do.
        return [block.mixer for block in untyped.MambaModel(config).layers]
    finally:
        logging.set_verbosity(before)


def train(
    dataset: Dataset, *, seed: int, out: Path, progress: Progress | None = None, hyper: Hyper | None = None
) -> dict[str, float]:
    """Train on all but the last two items of each user, and save weights, item order and figures to `out`.

    A checkpoint is written after each epoch, as in `audit.targets.zoo.sasrec_model.train`.

    Args:
        dataset: what to learn.
        seed: of the initial weights, the cuts, the order and the dropout.
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
    sequences = sequences_of(dataset, "mamba4rec")
    run = Training("mamba4rec", out, seed, {"dataset": dataset.digest, **asdict(hyper)}, progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Mamba4RecNet(len(dataset.catalog), hyper)
        loss = descend(
            run,
            net,
            hyper,
            hyper.epochs,
            lambda rows: next_item_loss(net, rows),
            lambda rng: chunks(sequences, hyper.length, rng),
        )
    metrics = finish(run, net, ARCHITECTURE, hyper, dataset, loss)
    run.finished()
    return metrics


def load(folder: Path) -> tuple[Mamba4RecNet, tuple[str, ...]]:
    """The network and its item ids, in index order; see `audit.targets.zoo.training.load`."""
    return training.load(folder, "mamba4rec", ARCHITECTURE, lambda hyper, items: Mamba4RecNet(items, Hyper(**hyper)))
