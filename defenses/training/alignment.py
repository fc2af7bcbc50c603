"""The defense `dpo`: an adapter aligned to stay with its clean decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.target import Input, Recommender
from defenses.training.adversarial import check_folder
from defenses.training.twins import tallrec_twin


@dataclass(frozen=True)
class Dpo:
    """An adapter that was taught, by preferences, to say on attacked requests what it says on clean ones.

    Attributes:
        weights: folder that `recaudit train tallrec --defense dpo` wrote. None is shipped: what to withstand is what
            an audit of one's own target found.

    Raises:
        ConfigError: there is no such folder.
    """

    weights: str | None = None

    def __post_init__(self) -> None:
        check_folder("dpo", self.weights)

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="dpo",
            title="Preference alignment (DPO)",
            why="A target that was shown attacks beside its clean decisions can learn to stay with them.",
            reference="Rafailov et al., NeurIPS 2023 (arXiv 2305.18290); SecAlign, CCS 2025 (arXiv 2410.05451)",
            family="training",
            guards=frozenset({Zone.USER, Zone.PLATFORM, Zone.SELLER}),
            needs=frozenset({Input.HISTORY, Input.ITEM_TEXT, Input.NOTE}),
            tasks=("score", "rank"),
            limits="It learns the kinds of attack that it is shown; other kinds and searches on its weights may pass.",
            missing=""
            if self.weights is not None
            else "train an adapter with `recaudit train tallrec --defense dpo --pairs RUN` and name its folder as "
            "`weights`",
        )

    def protect(self, target: Recommender) -> Recommender:
        """The target with the aligned adapter.

        Raises:
            ConfigError: there is no adapter, or none for this target.
        """
        if self.weights is None:
            raise ConfigError(f"defenses.dpo: {self.info.missing}")
        return tallrec_twin(target, Path(self.weights), self.info)

    @staticmethod
    def trainer(target: str) -> Callable[..., Mapping[str, Any]]:
        """See `audit.defense.Trains`."""
        if target == "tallrec":
            from defenses.training.dpo_tallrec import train

            return train
        raise ConfigError(f"train: dpo aligns tallrec; it cannot train {target!r}")
