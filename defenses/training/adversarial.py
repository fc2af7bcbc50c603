"""The defense `adversarial-training`: weights hardened by FreeLB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Input, Recommender
from audit.targets.zoo.p5 import P5
from defenses.training.twins import p5_twin, tallrec_twin

SHIPPED = Path(__file__).parent / "weights" / "p5-ml100k-freelb"
"""Hardened weights of the default `p5`."""


@dataclass(frozen=True)
class AdversarialTraining:
    """Weights trained on the worst small shift of what they read, after FreeLB (Zhu et al. 2020).

    Attributes:
        weights: folder that `recaudit train p5 --defense adversarial-training` wrote, or the same with `tallrec`; None
            for those shipped, which are for `p5` on MovieLens-100K.

    Raises:
        ConfigError: there is no such folder.
    """

    weights: str | None = None

    def __post_init__(self) -> None:
        check_folder("adversarial-training", self.weights)

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="adversarial-training",
            title="Adversarial training (FreeLB)",
            why="A target that learned under the worst small shifts of its input leans less on any single token.",
            reference="FreeLB: Zhu et al., ICLR 2020 (arXiv 1909.11764), algorithm 1",
            family="training",
            guards=frozenset({Zone.USER, Zone.PLATFORM, Zone.SELLER}),
            needs=frozenset({Input.HISTORY, Input.ITEM_TEXT, Input.NOTE}),
            tasks=("rank", "score"),
            limits="Inserted words and items move the input far beyond the ball that it was trained in.",
        )

    def protect(self, target: Recommender) -> Recommender:
        """The target with hardened weights.

        Raises:
            ConfigError: there are none for this target.
        """
        if isinstance(target, P5):
            return p5_twin(target, SHIPPED if self.weights is None else Path(self.weights), self.info)
        if self.weights is None:
            raise ConfigError(
                "defenses.adversarial-training: weights are shipped for 'p5' alone; train some for this target with "
                "`recaudit train tallrec --defense adversarial-training` and name their folder as `weights`"
            )
        return tallrec_twin(target, Path(self.weights), self.info)

    @staticmethod
    def trainer(target: str) -> Callable[..., Mapping[str, Any]]:
        """See `audit.defense.Trains`."""
        if target == "p5":
            from defenses.training.freelb_p5 import train as p5

            return p5
        if target == "tallrec":
            from defenses.training.freelb_tallrec import train as tallrec

            return tallrec
        raise ConfigError(f"train: adversarial-training hardens p5 and tallrec; it cannot train {target!r}")


def check_folder(defense: str, weights: str | None) -> None:
    """Raise ConfigError unless `weights` is None or a folder."""
    if weights is not None and not Path(weights).is_dir():
        raise ConfigError(
            f"defenses.{defense}.weights: {weights!r} is not a folder; give one that `recaudit train` wrote"
        )
