"""Language models that several parts of one process read, such as two attacks with the same agent: loaded once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audit.targets.language_model import LanguageModel

_KEPT = 2
"""Models that are kept for the next who asks; each may take gigabytes."""


def shared_model(source: str | Path | None = None, **options: str) -> LanguageModel:
    """A model that nobody changes: every caller with the same source and options gets the same one.

    A target that puts an adapter on its model must load one of its own: the adapter changes the layers in place.

    Args:
        source: a folder, or a name on the hub; None for SmolLM2.
        options: as of `audit.targets.weights.load`.

    Raises:
        TargetError: the model cannot be loaded.
        AssetError: SmolLM2 cannot be fetched.
    """
    if source is None:
        from audit.targets.zoo import smollm2

        source = smollm2.folder()
    return _load(str(source), tuple(sorted(options.items())))


@lru_cache(maxsize=_KEPT)
def _load(source: str, options: tuple[tuple[str, str], ...]) -> LanguageModel:
    from audit.targets import weights
    from audit.targets.hf import language_model

    return language_model(weights.load(source, **dict(options)))
