"""Plugins by name. A third party's attack, registered by an entry point, is a peer of ours."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from audit.errors import ConfigError, nearest

Kind = Literal["attacks", "defenses", "targets", "modules"]


@cache
def available(kind: Kind) -> Mapping[str, EntryPoint]:
    """Entry points of one kind, by name. Nothing is imported."""
    return {e.name: e for e in sorted(entry_points(group=f"recaudit.{kind}"), key=lambda e: e.name)}


def load(kind: Kind, name: str, *, where: str) -> Any:  # noqa: ANN401 - a plugin is what its entry point says it is
    """Import one plugin.

    Args:
        kind: group of the plugin.
        name: its registered name.
        where: the field that named it, for the error sentence.

    Raises:
        ConfigError: no plugin has that name, or its module cannot be imported.
    """
    known = available(kind)
    if name not in known:
        raise ConfigError(f"{where}: {name!r} is not a known {kind[:-1]}; {nearest(name, known)}")
    try:
        return known[name].load()
    except Exception as error:  # foreign code runs here, and may raise anything
        raise ConfigError(
            f"{where}: the {kind[:-1]} {name!r} ({known[name].value}) cannot be imported: {error}"
        ) from error
