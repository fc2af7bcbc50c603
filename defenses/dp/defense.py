"""The defense `dp`: an adapter whose training hides who was in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.guarantee import CARD, Guarantee
from audit.target import Recommender
from defenses.training.adversarial import check_folder
from defenses.training.twins import tallrec_twin


@dataclass(frozen=True)
class Dp:
    """An adapter trained with differential privacy; the twin declares its guarantee.

    Attributes:
        weights: folder that `recaudit train tallrec --epsilon 8` wrote. None is shipped: whom to protect is who is in
            one's own data.

    Raises:
        ConfigError: there is no such folder.
    """

    weights: str | None = None

    def __post_init__(self) -> None:
        check_folder("dp", self.weights)

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="dp",
            title="Training with differential privacy (DP-SGD)",
            why="What a training gives away of any one person is bounded, whatever an adversary tries on the weights.",
            reference="Abadi et al., CCS 2016 (arXiv 1607.00133); user level as McMahan et al., ICLR 2018",
            family="training",
            guards=frozenset({Zone.USER, Zone.PLATFORM}),
            tasks=("score", "rank"),
            limits="It covers the training alone: not what stands in a prompt, nor what the base model had read.",
            missing=""
            if self.weights is not None
            else "train an adapter with `recaudit train tallrec --epsilon 8` and name its folder as `weights`",
        )

    def protect(self, target: Recommender) -> Recommender:
        """The target with the private adapter.

        Raises:
            ConfigError: there is no adapter, none for this target, or one without a guarantee.
        """
        if self.weights is None:
            raise ConfigError(f"defenses.dp: {self.info.missing}")
        folder = Path(self.weights)
        if Guarantee.read(folder) is None:
            raise ConfigError(
                f"defenses.dp.weights: {folder} has no {CARD}, so nothing is promised; give a folder that "
                "`recaudit train tallrec --epsilon 8` wrote"
            )
        return tallrec_twin(target, folder, self.info)

    @staticmethod
    def trainer(target: str) -> Callable[..., Mapping[str, Any]]:
        """See `audit.defense.Trains`."""
        if target == "tallrec":
            from defenses.dp.tallrec import train

            return train
        raise ConfigError(
            f"train: dp trains tallrec; it cannot train {target!r}. For a language model of your own, call "
            "`defenses.dp.model.train`"
        )
