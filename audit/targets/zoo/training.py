"""What trained reference recommenders share: the loop over epochs, the files of a finished training, its figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from audit.data.dataset import Dataset
from audit.errors import TargetError
from audit.targets.zoo import checkpoint
from audit.targets.zoo.protocol import ScoreFunction, gains, hits, leave_one_out_ranks

Progress = Callable[[int, int, float], None]
"""Called after each epoch with (epochs done, epochs in all, mean loss in nats)."""

WEIGHTS, CONFIG = "model.safetensors", "config.json"

_Net = TypeVar("_Net", bound=nn.Module)


@dataclass(frozen=True)
class Training:
    """One training, wherever it was stopped.

    Attributes:
        what: name of the recommender, for error sentences.
        out: folder of its checkpoint and, at the end, of its files.
        seed: of everything that is drawn.
        settings: what makes this training this one; a checkpoint of other settings is refused.
        progress: called after each epoch.
        stage: its name, where a training has several; each stage keeps a checkpoint of its own, so that a training
            that was killed in a later stage finds the earlier ones done.
    """

    what: str
    out: Path
    seed: int
    settings: Mapping[str, Any]
    progress: Progress | None = None
    stage: str = ""

    @property
    def _checkpoint(self) -> Path:
        return self.out / f"checkpoint{self.stage and '-'}{self.stage}.safetensors"

    def epochs(
        self, net: nn.Module, optimizer: torch.optim.Optimizer, count: int, epoch: Callable[[int], float]
    ) -> float:
        """Train from the last checkpoint, or from the start.

        A checkpoint is written after each epoch; called again with the same settings, training goes on from there and
        ends with the weights of a run that was never stopped.

        Args:
            net: freshly made; takes the weights of the checkpoint.
            optimizer: of its parameters.
            count: epochs in all.
            epoch: one epoch by its number from 0: trains, and returns its mean loss. What it draws outside torch it
                draws from a generator seeded with that number, for a resumed training must draw the same.

        Returns:
            The loss of the last epoch; NaN for no epochs.

        Raises:
            TargetError: `out` holds the checkpoint of another training.
        """
        label = json.dumps({**self.settings, "seed": self.seed}, sort_keys=True)
        self.out.mkdir(parents=True, exist_ok=True)
        file = self._checkpoint
        done, loss = checkpoint.read(file, net, optimizer, label, what=self.what)
        for number in range(done, count):
            # Seeds by epoch, not one running state: a resumed training draws the same numbers.
            torch.manual_seed(self.seed * 10_007 + number + 1)
            loss = epoch(number)
            checkpoint.write(file, net, optimizer, label, number + 1, loss)
            if self.progress is not None:
                self.progress(number + 1, count, loss)
        return loss

    def finished(self) -> None:
        """Drop the checkpoint, once everything else is written."""
        self._checkpoint.unlink(missing_ok=True)


def figures(score: ScoreFunction, dataset: Dataset) -> dict[str, float]:
    """HR@10 and NDCG@10 on the validation and the test item: `valid_hr@10`, `valid_ndcg@10`, and so on.

    Args:
        score: of a model that has learned from neither.
        dataset: see `audit.targets.zoo.protocol`, also for how they are ranked.
    """
    found = {}
    for part in ("valid", "test"):
        ranks = leave_one_out_ranks(score, dataset, part)
        found[f"{part}_hr@10"] = float(hits(ranks, 10).mean())
        found[f"{part}_ndcg@10"] = float(gains(ranks, 10).mean())
    return found


def save(net: nn.Module, architecture: str, hyper: Mapping[str, object], items: Sequence[str], out: Path) -> None:
    """Write the weights (safetensors), and architecture, hyper-parameters and item order (JSON) into `out`."""
    save_file(net.state_dict(), out / WEIGHTS)
    config = {"architecture": architecture, "hyper": dict(hyper), "items": list(items)}
    (out / CONFIG).write_text(json.dumps(config) + "\n", encoding="utf-8")


def load(
    folder: Path, what: str, architecture: str, make: Callable[[Mapping[str, Any], int], _Net]
) -> tuple[_Net, tuple[str, ...]]:
    """The network and its item ids, in index order, as written by `save`.

    Args:
        folder: where it lies.
        what: name of the recommender, for error sentences.
        architecture: that `save` was given.
        make: hyper-parameters and the number of items to an empty network.

    Raises:
        TargetError: there is no such folder, a file is missing, is of another architecture, or they do not fit.
    """
    if not folder.is_dir():
        raise TargetError(
            f"{what}: there is no folder {folder}; run `recaudit train {what}` and give the folder that it writes as "
            "`weights`"
        )
    try:
        config: Mapping[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["architecture"] != architecture:
            raise TargetError(
                f"{what}: {folder} holds weights of {config['architecture']!r}, not of {architecture!r}; "
                "name another folder"
            )
        items = tuple(str(item) for item in config["items"])
        net = make(config["hyper"], len(items))
        net.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise TargetError(f"{what}: {folder} does not hold usable weights ({reason}); train them again") from None
    return net.eval(), items
