"""`recaudit train`: train a reference recommender anew, on MovieLens-100K or on the dataset of a configuration."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.cli.progress import stepping
from audit.cli.terminal import put, say
from audit.errors import ConfigError, TargetError, nearest

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

SEED = 7
"""The seed of the shipped weights."""

_OURS = frozenset({"dataset", "out", "seed", "progress", "steps"})
"""Arguments of `train` that are not `--option`s."""


def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help="sasrec, tallrec, or another that can be trained.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; default: weights/NAME.", show_default=False)
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG", help="Train on the dataset of this audit.yaml; default: MovieLens-100K, 5-core."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = SEED,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all, where the training counts steps.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="K=V", help="A further option of the training.")
    ] = None,
) -> None:
    """Train a reference recommender; run it again to go on where it stopped."""
    work = trainer(name)
    options: dict[str, Any] = chosen_options(name, work, option or [])
    if steps is not None:
        if "steps" not in inspect.signature(work).parameters:
            raise ConfigError(f"--steps: the training of {name!r} does not count steps; leave it out")
        options["steps"] = steps
    folder = out or Path("weights") / name
    dataset = _dataset(config)
    say(f"training {name} on {dataset.name} into {folder}")
    try:
        with stepping(name) as progress:
            metrics: Mapping[str, float] = work(dataset, out=folder, seed=seed, progress=progress, **options)
    except KeyboardInterrupt:
        say(f"error: training of {name} was interrupted; the same command goes on from the last checkpoint")
        raise typer.Exit(3) from None
    except OSError as error:
        raise TargetError(f"train {name}: cannot write to {folder}: {error.strerror or error}") from error
    for key, value in metrics.items():
        put(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}")
    put(f"saved: {folder}")
    if place := _where_it_goes(name):
        put(f"use it: target: {{kind: zoo, name: {name}, {place}: {folder.resolve()}}}")


def trainer(name: str) -> Callable[..., Mapping[str, float]]:
    """The `train` function beside a reference target's factory, or in the module `<its module>_training`.

    Raises:
        ConfigError: no target has that name, or it has nothing to train.
    """
    from audit import registry

    known = registry.available("targets")
    if name not in known:
        raise ConfigError(f"train: {name!r} is not a known target; {nearest(name, known)}")
    for module in (known[name].module, f"{known[name].module}_training"):
        try:
            found = getattr(importlib.import_module(module), "train", None)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise ConfigError(f"train: {name!r} needs {error.name}, which is not installed") from error
            continue
        if callable(found):
            work: Callable[..., Mapping[str, float]] = found
            return work
    raise ConfigError(f"train: {name!r} has nothing to train; it is fitted when it is used")


def _where_it_goes(name: str) -> str | None:
    """The option of the target's factory that takes the folder just written."""
    from audit import registry

    if name not in registry.available("targets"):
        return None
    parameters = inspect.signature(registry.load("targets", name, where="train")).parameters
    return next((option for option in ("weights", "adapter") if option in parameters), None)


def chosen_options(name: str, work: Callable[..., object], given: Sequence[str]) -> dict[str, Any]:
    """`k=v` texts as keyword arguments; values are read as YAML scalars.

    Raises:
        ConfigError: not of that form, or no such option.
    """
    import yaml

    offered = [k for k in inspect.signature(work).parameters if k not in _OURS]
    options: dict[str, Any] = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"--option: {text!r} is not of the form name=value")
        if key not in offered:
            raise ConfigError(f"--option: the training of {name!r} has no option {key!r}; {nearest(key, offered)}")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            read = value
        if not isinstance(read, str | int | float | bool):
            raise ConfigError(f"--option: {text!r}: the value must be a number, a word, true or false")
        options[key] = read
    return options


def _dataset(config: Path | None) -> Dataset:
    from audit.config import DatasetConfig, load
    from audit.data.load import load_dataset

    if config is None:
        return load_dataset(DatasetConfig(name="ml-100k"), Path.cwd())
    settings, base = load(config)
    return load_dataset(settings.dataset, base)
