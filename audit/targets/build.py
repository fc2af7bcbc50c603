"""From the `target:` block of a configuration to a Recommender."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit import registry
from audit.config import TargetConfig
from audit.errors import ConfigError, nearest
from audit.target import Recommender

if TYPE_CHECKING:
    from audit.data.dataset import Dataset


def build(config: TargetConfig, dataset: Dataset, base: Path) -> Recommender:
    """Build the target that a configuration names.

    Args:
        config: the block.
        dataset: its catalogue grounds the titles a target returns; reference targets are fitted on it.
        base: folder that relative paths and modules start from.

    Raises:
        ConfigError: a missing or unknown option.
        TargetError: the target cannot be built.
    """
    options = config.options
    if config.kind == "zoo":
        if config.name is None:
            raise ConfigError(f"target.name is missing; {nearest('', registry.available('targets'))}")
        factory = registry.load("targets", config.name, where="target.name")
        return _call(factory, options, {"dataset": dataset, "catalog": dataset.catalog})
    if config.kind == "python":
        from audit.targets import python

        known = {"catalog": dataset.catalog, "base_dir": base, "version": config.version}
        return _call(python.load, options, known)
    if config.kind == "http":
        from audit.targets.http import HttpTarget

        known = {"catalog": dataset.catalog, "version": config.version, "name": config.name}
        return _call(HttpTarget, options, known)
    if config.kind == "openai":
        from audit.targets.openai import OpenAITarget

        known = {"catalog": dataset.catalog, "version": config.version, "name": config.name}
        return _call(OpenAITarget, options, known)
    from audit.targets.hf import HFTarget

    for key in ("model", "adapter"):
        if isinstance(options.get(key), str) and (base / options[key]).exists():
            options[key] = str(base / options[key])
    return _call(HFTarget, options, {"catalog": dataset.catalog, "name": config.name})


def _call(factory: Callable[..., Any], options: Mapping[str, Any], known: Mapping[str, Any]) -> Recommender:
    """Call a factory with the user's options and with whatever else of ours it asks for."""
    parameters = inspect.signature(factory).parameters
    accepts_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in options:
        if name not in parameters and not accepts_all:
            offered = [p for p in parameters if p not in known]
            raise ConfigError(f"target.{name}: no option has this name; {nearest(name, offered)}")
    given = {k: v for k, v in known.items() if k in parameters and v is not None} | dict(options)
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in {
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        }
        if required and name not in given:
            raise ConfigError(f"target.{name} is missing; add `{name}:` to the target block")
    try:
        target: Recommender = factory(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"target: {error}") from error
    return target
