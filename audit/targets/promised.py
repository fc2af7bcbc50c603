"""What the folder of an adapter says about its training: the guarantee, and who was in it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from audit.guarantee import Guarantee, Members


def promised(folder: Path, base: str = "") -> tuple[Guarantee | None, Members | None]:
    """The card and the members beside some weights.

    A card speaks of one file of weights on one base model. Of others it says nothing, so it comes back void: merging,
    quantising and training on are not covered.

    Args:
        folder: of a PEFT adapter.
        base: identity of the model that it is put on; "" where it is not known.

    Raises:
        TargetError: a file there cannot be read.
    """
    card = Guarantee.read(folder)
    if card is not None:
        weights = folder / "adapter_model.safetensors"
        flaws = list(card.void)
        if card.weights and weights.is_file() and hashlib.sha256(weights.read_bytes()).hexdigest() != card.weights:
            flaws.append("the weights beside the card are not those it was written for")
        if card.base and base and card.base != base:
            flaws.append("the adapter was trained on another base model")
        card = replace(card, void=tuple(flaws))
    return card, Members.read(folder)
