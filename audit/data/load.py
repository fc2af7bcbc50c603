"""From the `dataset:` block of a configuration to a Dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from audit.config import DatasetConfig
from audit.errors import ConfigError, nearest

if TYPE_CHECKING:
    from audit.data.dataset import Dataset


def load_dataset(config: DatasetConfig, base: Path) -> Dataset:
    """Load the dataset a configuration names and cut it to its k-core.

    Args:
        config: the block.
        base: folder that relative paths start from.

    Raises:
        ConfigError: an unknown name.
        DataError: files that cannot be used.
    """
    if config.kind == "files":
        from audit.data.files import load_files

        users = config.users_file()
        dataset = load_files(
            base / Path(str(config.interactions)),
            base / Path(str(config.items)),
            None if users is None else base / users,
            columns=config.columns,
            liked=config.liked,
        )
    elif config.name == "ml-100k":
        from audit.data.movielens import load_ml100k

        dataset = load_ml100k()
    else:
        raise ConfigError(f"dataset.name: {config.name!r} is unknown; {nearest(str(config.name), ['ml-100k'])}")
    return dataset.k_core(config.min_core) if config.min_core > 1 else dataset
