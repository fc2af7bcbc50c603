"""`recaudit train`: train a reference recommender anew, on MovieLens-100K or on the dataset of a configuration."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.cli.progress import stepping
from audit.cli.terminal import StoreOption, open_store, put, say
from audit.errors import ConfigError, TargetError, nearest

if TYPE_CHECKING:
    from audit.data.dataset import Dataset
    from audit.exchanges import Exchange

SEED = 7
"""The seed of the shipped weights."""

_OURS = frozenset({"dataset", "out", "seed", "progress", "steps", "exchanges"})
"""Arguments of `train` that are not `--option`s."""

_SCALARS = frozenset({"str", "int", "float", "bool"})


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
    defense: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Train weights that withstand, with this defense.", show_default=False),
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Train on the evidence of this run, where the defense learns from attacks.",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    seed: Annotated[int, typer.Option(min=0)] = SEED,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all, where the training counts steps.")] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(metavar="ε", help="Train with differential privacy at this ε; inf for none.", show_default=False),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(metavar="δ", help="With --epsilon: δ; default 1/(10 units).", show_default=False)
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(metavar="UNIT", help="With --epsilon: whom to hide, user or example.", show_default=False),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="K=V", help="A further option of the training.")
    ] = None,
) -> None:
    """Train a reference recommender, or one that withstands attacks; run it again to go on where it stopped."""
    promise = {k: v for k, v in (("epsilon", epsilon), ("delta", delta), ("unit", unit)) if v is not None}
    defense = _private(defense, promise)
    work = trainer(name, defense)
    label = name if defense is None else f"{name} with {defense}"
    offered = inspect.signature(work).parameters
    options: dict[str, Any] = chosen_options(label, work, option or [])
    if steps is not None:
        if "steps" not in offered:
            raise ConfigError(f"--steps: the training of {label!r} does not count steps; leave it out")
        options["steps"] = steps
    for key, value in promise.items():
        if key in options:
            raise ConfigError(f"--{key}: is given twice, as --{key} and as --option {key}=…; leave one out")
        if key not in offered:
            raise ConfigError(f"--{key}: the training of {label!r} makes no such promise; leave it out")
        options[key] = value
    folder = out or Path("weights") / (name if defense is None else f"{name}-{defense}")
    if "exchanges" in offered:
        options["exchanges"] = _exchanges(label, pairs, store)
    elif pairs is not None:
        raise ConfigError(f"--pairs: the training of {label!r} does not learn from a run; leave it out")
    if "dataset" in offered:
        options["dataset"] = _dataset(config)
        say(f"training {label} on {options['dataset'].name} into {folder}")
    else:
        say(f"training {label} into {folder}")
    try:
        with stepping(name) as progress:
            metrics: Mapping[str, float] = work(out=folder, seed=seed, progress=progress, **options)
    except KeyboardInterrupt:
        say(f"error: training of {name} was interrupted; the same command goes on from the last checkpoint")
        raise typer.Exit(3) from None
    except OSError as error:
        raise TargetError(f"train {name}: cannot write to {folder}: {error.strerror or error}") from error
    for key, value in metrics.items():
        put(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}")
    put(f"saved: {folder}")
    if defense is not None and not (promise and _where_it_goes(name)):
        put(f"use it: modules: {{robustness: {{defenses: {{{defense}: {{weights: {folder.resolve()}}}}}}}}}")
    elif place := _where_it_goes(name):
        put(f"use it: target: {{kind: zoo, name: {name}, {place}: {folder.resolve()}}}")


def _private(defense: str | None, promise: Mapping[str, object]) -> str | None:
    """The defense to train: `dp` where a promise of privacy is asked for.

    Raises:
        ConfigError: it is asked for without an ε, or of another defense.
    """
    if not promise:
        return defense
    if "epsilon" not in promise and defense != "dp":
        raise ConfigError(f"--{next(iter(promise))}: belongs to --epsilon; say how much privacy, such as --epsilon 8")
    if defense not in (None, "dp"):
        raise ConfigError(f"--epsilon: the defense {defense!r} does not train with differential privacy; leave one out")
    return "dp"


def trainer(name: str, defense: str | None = None) -> Callable[..., Mapping[str, float]]:
    """What trains a reference target, plainly or with a defense.

    Plainly it is the function `train` beside the target's factory, or in the module `<its module>_training`; with a
    defense it is what that defense's factory says, see `audit.defense.Trains`.

    Raises:
        ConfigError: no target or defense has that name, or there is nothing to train.
    """
    from audit import registry
    from audit.defense import Trains

    known = registry.available("targets")
    if name not in known:
        raise ConfigError(f"train: {name!r} is not a known target; {nearest(name, known)}")
    if defense is not None:
        factory = registry.load("defenses", defense, where="--defense")
        if not isinstance(factory, Trains):
            raise ConfigError(f"--defense: {defense!r} is not made by training; it works on any weights")
        return factory.trainer(name)
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


def _exchanges(label: str, run: str | None, store: str | None) -> Sequence[Exchange]:
    from audit.exchanges import exchanges, users

    if run is None:
        raise ConfigError(f"--pairs: the training of {label!r} learns from what an audit found; name a run")
    with open_store(store) as opened:
        found = exchanges(opened, run)
    if not found:
        raise ConfigError(f"--pairs: the run {run!r} holds no evidence of an attack; name one of the robustness module")
    say(f"{len(found)} attacked requests of {len(users(found))} users; judge what comes out on other users")
    return found


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

    parameters = inspect.signature(work, eval_str=False).parameters
    offered = [k for k, p in parameters.items() if k not in _OURS and _is_scalar(p)]
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


def _is_scalar(parameter: inspect.Parameter) -> bool:
    """Whether a value of it can be written on a command line."""
    annotation = parameter.annotation
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return bool(_SCALARS & set(name.replace("|", " ").split()))


def _dataset(config: Path | None) -> Dataset:
    from audit.config import DatasetConfig, load
    from audit.data.load import load_dataset

    if config is None:
        return load_dataset(DatasetConfig(name="ml-100k"), Path.cwd())
    settings, base = load(config)
    return load_dataset(settings.dataset, base)
