"""`recaudit plugins`: what is installed, ours and others'."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from audit.cli.terminal import Form, FormOption, cell, console, put, put_json, table


class Kind(StrEnum):
    """Kinds of plugins."""

    MODULES = "modules"
    ATTACKS = "attacks"
    DEFENSES = "defenses"
    TARGETS = "targets"


def plugins(
    kind: Annotated[
        Kind | None, typer.Argument(metavar="[KIND]", help="modules, attacks, defenses or targets.")
    ] = None,
    form: FormOption = Form.TEXT,
) -> None:
    """List modules, attacks, defenses and reference targets by the names that audit.yaml uses.

    `recaudit plugins attacks` adds each attack's threat model: the zones it writes, what it sees, what it wants;
    `recaudit plugins defenses` where each defense works, whose text it is meant for, and how often it asks the target.
    """
    from audit import registry

    kinds = list(Kind) if kind is None else [kind]
    found = {k.value: {name: title_of(k, name) for name in registry.available(k.value)} for k in kinds}
    if form is Form.JSON:
        put_json(found)
        return
    for group, titles in found.items():
        if not titles:
            put(f"{group}: none are installed")
            continue
        heads, declared = _declared(kind, titles)
        rows = table(group, "", *heads)
        for name, title in titles.items():
            rows.add_row(cell(name, "bold"), cell(title), *map(cell, declared.get(name, ())))
        rows.columns[0].no_wrap = True
        console().print(rows)
        put("")


def _declared(kind: Kind | None, names: Iterable[str]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Heads of further columns, and their cells by name, where one kind is listed alone."""
    if kind is Kind.ATTACKS:
        return ("writes", "sees", "wants"), dict(threat_models(names))
    if kind is Kind.DEFENSES:
        return ("works on", "against", "calls"), dict(guarded(names))
    return (), {}


def guarded(names: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """By defense: where it works, the zones whose writers it is meant to withstand, and its calls for one answer."""
    from audit import registry
    from audit.defense import DefenseInfo
    from audit.errors import ConfigError

    found: dict[str, tuple[str, str, str]] = {}
    for name in names:
        try:
            info = declared_by(registry.load("defenses", name, where="plugins"))
        except ConfigError:
            continue
        if isinstance(info, DefenseInfo):
            found[name] = (info.family, ", ".join(sorted(info.guards)), f"{info.calls:g}")
    return found


def threat_models(names: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """By attack: the zones it writes, what it sees of the target, and its goal."""
    from audit import registry
    from audit.attack import AttackInfo
    from audit.errors import ConfigError

    found = {}
    for name in names:
        try:
            info = declared_by(registry.load("attacks", name, where="plugins"))
        except ConfigError:
            continue
        if isinstance(info, AttackInfo):
            model = info.threat_model
            found[name] = (", ".join(sorted(model.zones)), str(model.sees), str(model.goal))
    return found


def title_of(kind: Kind, name: str) -> str:
    """The one-line title of a plugin: what it declares, else the first line of its documentation."""
    from audit import registry
    from audit.errors import ConfigError

    try:
        plugin = registry.load(kind.value, name, where="plugins")
    except ConfigError as error:
        return f"({error})"
    # A target is not built for its title: that may load a model.
    declared = None if kind is Kind.TARGETS else getattr(declared_by(plugin), "title", None)
    if isinstance(declared, str):
        return declared
    documented = inspect.getdoc(inspect.getmodule(plugin)) if kind is Kind.TARGETS else inspect.getdoc(plugin)
    return (documented or "").strip().partition("\n")[0]


def declared_by(plugin: Any) -> Any:  # noqa: ANN401 - a plugin is what its entry point says it is
    """The `info` of a plugin built with its defaults; None when it cannot be built without options."""
    from audit.errors import RecAuditError
    from audit.types import Catalog

    try:
        parameters = inspect.signature(plugin).parameters
        built = plugin(**({"catalog": Catalog(())} if "catalog" in parameters else {}))
    except (TypeError, ValueError, RecAuditError):
        return None
    return getattr(built, "info", None)
