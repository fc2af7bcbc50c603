"""A target with other weights: what all trained defenses return.

A twin is the target itself, gradients and all, for whoever attacks it attacks the weights that are deployed. Nothing of
what the plain target reveals has to be hidden, and nothing stands between the twin and its adversary.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from audit.defense import DefenseInfo
from audit.errors import ConfigError, TargetError
from audit.target import Recommender, TargetInfo, describe
from audit.targets.zoo.p5 import P5, Form
from audit.types import Catalog, canonical_json

if TYPE_CHECKING:
    from audit.targets.hf import HFTarget
    from audit.targets.zoo.p5_model import P5Net


class HardenedP5(P5):
    """The P5-style reference with hardened weights.

    Args:
        catalog: the items, in the order of the network's indices.
        net: the hardened network.
        form: that of the plain target.
        defense: who hardened it.
    """

    def __init__(self, catalog: Catalog, net: P5Net, form: Form, defense: DefenseInfo) -> None:
        super().__init__(catalog, net, form)
        self.defense = defense
        self._info = named(self._info, defense)


def p5_twin(target: Recommender, folder: Path, defense: DefenseInfo) -> HardenedP5:
    """The twin of a P5-style reference, with the weights in `folder`.

    Raises:
        ConfigError: `target` is something else, or the weights cannot be used for its items.
    """
    if not isinstance(target, P5) or isinstance(target, HardenedP5):
        raise ConfigError(refusal(target, defense, "p5"))
    try:
        trained = P5.load(folder, target.catalog, target.form)
    except TargetError as error:
        raise ConfigError(f"defenses.{defense.id}.weights: {error}") from None
    if len(trained.catalog) != len(target.catalog):
        raise ConfigError(
            f"defenses.{defense.id}.weights: {folder} knows {len(trained.catalog)} items and the target "
            f"{len(target.catalog)}; train it on the dataset of the target"
        )
    return HardenedP5(trained.catalog, trained.net, target.form, defense)


def tallrec_twin(target: Recommender, folder: Path, defense: DefenseInfo) -> HFTarget:
    """The twin of the TALLRec reference, with the adapter in `folder`.

    Raises:
        ConfigError: `target` is something else, or there is no usable adapter.
    """
    from audit.targets.hf import HFTarget
    from audit.targets.zoo import tallrec

    if not isinstance(target, HFTarget) or target.info.name != "tallrec":
        raise ConfigError(refusal(target, defense, "tallrec"))
    try:
        twin = tallrec.build(folder, dtype=str(target.lm.dtype).removeprefix("torch."))
    except TargetError as error:
        raise ConfigError(f"defenses.{defense.id}.weights: {error}") from None
    twin.info = named(twin.info, defense)
    return twin


def named(info: TargetInfo, defense: DefenseInfo) -> TargetInfo:
    """The declaration of a twin: with the defense in its name and fingerprint."""
    fingerprint = None
    if info.fingerprint is not None:
        fingerprint = hashlib.sha256(canonical_json([defense.id, info.fingerprint]).encode()).hexdigest()
    return replace(info, name=f"{info.name} + {defense.id}", fingerprint=fingerprint)


def refusal(target: Recommender, defense: DefenseInfo, *known: str) -> str:
    """Why a target has no twin."""
    return (
        f"{defense.id} exchanges the weights of {' or '.join(known)}, and {describe(target).name!r} is not that; in a "
        "stack of defenses it stands last, right before the target"
    )
