"""The language model that a defense reads or writes with: SmolLM2 unless a folder or a model of one's own is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from audit.errors import ConfigError

if TYPE_CHECKING:
    from audit.targets.lm import CausalLM


def check(option: str, model: CausalLM | str | Path | None) -> None:
    """Refuse a model that is not there, before anything is loaded.

    Raises:
        ConfigError: naming the option.
    """
    if isinstance(model, str | Path) and not Path(model).is_dir():
        raise ConfigError(f"{option}: {str(model)!r} is not a folder; name one that holds a causal language model")


def load(option: str, model: CausalLM | str | Path | None) -> CausalLM:
    """The model itself; read from disk once for all who name the same folder.

    Raises:
        ConfigError: it is no causal language model.
        TargetError: the folder holds none that can be loaded.
        AssetError: SmolLM2 cannot be fetched.
    """
    from audit.targets.lm import CausalLM
    from audit.targets.shared import shared_model

    found = shared_model(model) if model is None or isinstance(model, str | Path) else model
    if not isinstance(found, CausalLM):
        raise ConfigError(
            f"{option}: {str(model)!r} is no causal language model; name a folder that holds one, such as SmolLM2"
        )
    return found
