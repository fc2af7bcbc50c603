"""FreeLB training of the P5-style reference: more epochs of its own training, with gradients taken along an ascent.

As in the paper it is a fine-tuning of trained weights. The instruction, the history in the encoder and the items in the
decoder's prefix are perturbed together, as one vector. Lengths are in units of the mean norm of an item's embedding at
the time: the network normalises what it reads, and would otherwise shrink any fixed ball to nothing by letting its
embeddings grow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import ConfigError, TargetError
from audit.targets.zoo import p5_model, p5_training
from audit.targets.zoo.p5 import SHIPPED
from audit.targets.zoo.p5_model import P5Net
from defenses.training import freelb
from defenses.training.freelb import Ascent

if TYPE_CHECKING:
    import torch

    from audit.data.dataset import Dataset

ID = "adversarial-training"


def train(
    dataset: Dataset,
    *,
    out: Path,
    seed: int,
    start: str | None = None,
    epochs: int = 6,
    peak: float = 1e-3,
    ascents: int = 3,
    rate: float = 0.5,
    noise: float = 0.5,
    norm: float = 1.0,
    progress: Callable[[int, int, float], None] | None = None,
) -> dict[str, Any]:
    """Harden trained weights by some more epochs along the ascent, resumable after each of them.

    Args:
        dataset: that of the weights.
        out: folder to write to; made if absent.
        seed: of the samples, the dropout and the perturbations.
        start: folder of the weights to harden; None for those shipped with the target.
        epochs: how many more.
        peak: highest learning rate.
        ascents: K, passes per batch; an epoch takes about K times as long as a plain one.
        rate: length of a step of the ascent, in mean norms of an item's embedding.
        noise: size of the first perturbation, in the same unit.
        norm: radius of the ball, in the same unit.
        progress: called after each epoch.

    Returns:
        The last epoch's mean `loss` along the ascent, and the figures of `p5_evaluation.summary`.

    Raises:
        ConfigError: an option out of range.
        TargetError: the weights to start from cannot be read or belong to other items, or `out` holds the checkpoint of
            another training.
    """
    ascent = Ascent(ascents, rate, noise, norm)
    if epochs < 1 or not 0 < peak < 1:
        raise ConfigError(f"train p5: epochs {epochs} must be at least 1, and peak {peak} between 0 and 1")
    folder = Path(start) if start is not None else SHIPPED / "iid"
    net, ids = p5_model.load(folder)
    if ids != tuple(dataset.catalog):
        raise TargetError(
            f"train p5: {folder} was trained on other items than {dataset.name} holds; name weights of this dataset as "
            "`--option start=FOLDER`"
        )
    net.hyper = replace(net.hyper, epochs=epochs, rate=peak)
    plan = {"defense": ID, "ascent": asdict(ascent), "start": fingerprint(folder)}
    return p5_training.train_with(
        gradients(ascent),
        dataset,
        out=out,
        seed=seed,
        indexing=net.vocabulary.indexing.scheme,
        hyper=net.hyper,
        plan=plan,
        start=net,
        progress=progress,
    )


def fingerprint(folder: Path) -> str:
    """SHA-256 of the weights in a folder."""
    return hashlib.sha256((folder / p5_model.WEIGHTS).read_bytes()).hexdigest()


def gradients(ascent: Ascent) -> p5_training.Backward:
    """The gradients of a batch along an ascent whose lengths are in mean norms of an item's embedding."""

    def backward(net: P5Net, inputs: torch.Tensor, prefix: torch.Tensor, answer: torch.Tensor) -> float:
        first, last = net.vocabulary.blocks[0][0], net.vocabulary.blocks[-1][1]
        unit = float(net.t5.shared.weight[first:last].detach().norm(dim=1).mean())
        masks = (inputs != net.vocabulary.START, answer_positions(prefix))
        return freelb.backward(
            lambda shifts: p5_training.loss_of(net, inputs, prefix, answer, (shifts[0], shifts[1])),
            masks,
            net.hyper.dim,
            ascent.scaled(unit),
        )

    return backward


def answer_positions(prefix: torch.Tensor) -> torch.Tensor:
    """True at the start token and wherever an item stands: a prefix is padded on the right with the start token."""
    given = prefix != 0
    given[:, 0] = True
    return given
