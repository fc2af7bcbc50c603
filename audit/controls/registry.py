"""All controls: ours, and those of installed plugins (entry points `recaudit.controls`)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from audit.controls.control import Control
from audit.errors import ConfigError, nearest

_OURS = ("quality", "robustness", "fairness", "hallucination", "privacy", "explanation")
"""Modules of this package that hold a tuple `CONTROLS`, in the order in which they are shown."""


@cache
def available() -> dict[str, Control]:
    """Every control by its id.

    Raises:
        ConfigError: a plugin cannot be imported, is no tuple of controls, or uses an id that is taken.
    """
    found: dict[str, Control] = {}
    for name in _OURS:
        path = f"audit.controls.{name}"
        try:
            ours = import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise
            continue
        _take(found, ours.CONTROLS, name)
    for entry in sorted(entry_points(group="recaudit.controls"), key=lambda e: e.name):
        try:
            given = entry.load()
        except Exception as error:  # foreign code runs here, and may raise anything
            raise ConfigError(f"controls: {entry.name!r} ({entry.value}) cannot be imported: {error}") from error
        _take(found, [given] if isinstance(given, Control) else given, entry.name)
    return found


def controls(*, module: str | None = None, control: str | None = None) -> list[Control]:
    """Controls by what they test.

    Args:
        module: only those of one module.
        control: only the one with this id.

    Raises:
        ConfigError: none has that name.
    """
    known = available()
    if control is not None and control not in known:
        raise ConfigError(f"--control: {control!r} is no control; {nearest(control, known)}")
    modules = {one.module for one in known.values()}
    if module is not None and module not in modules:
        raise ConfigError(f"--module: no control tests {module!r}; {nearest(module, modules)}")
    chosen = [one for one in known.values() if control in (None, one.id) and (module is None or one.module == module)]
    if not chosen:
        raise ConfigError(f"--control: {control!r} tests {known[str(control)].module}, not {module}; leave one out")
    return chosen


def _take(found: dict[str, Control], given: Iterable[Control], whose: str) -> None:
    for control in given:
        if not isinstance(control, Control):
            raise ConfigError(f"controls: {whose!r} gives a {type(control).__name__}, which is no Control")
        if control.id in found:
            raise ConfigError(f"controls: {whose!r} names a control {control.id!r}, which there is already; rename it")
        found[control.id] = control
