"""Defenses of a module's options: built, put in place before the target, or skipped with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from audit import registry
from audit.defense import Defense, Stack
from audit.errors import ConfigError
from audit.modules.base import Context, build, provided
from audit.modules.report_card import ReportCard
from audit.target import Recommender

_OWN = ("defense",)
"""Options of a defense's block that are the module's, not the defense's."""

Named = Sequence[str] | Mapping[str, Mapping[str, Any] | None]
"""Plugins to use: names, or names with options."""


def by_name(named: Named) -> dict[str, Mapping[str, Any]]:
    """Names, or names with options, as options by name."""
    if isinstance(named, Mapping):
        return {name: options or {} for name, options in named.items()}
    return {name: {} for name in named}


@dataclass(frozen=True)
class Protected:
    """A defense in place.

    Attributes:
        name: registered name.
        defense: built.
        target: the defended target.
        context: of the run, with the door to it.
    """

    name: str
    defense: Defense
    target: Recommender
    context: Context


@dataclass(frozen=True)
class Shelf:
    """The defenses that a module's options name.

    Attributes:
        named: names, or a mapping of names to options. Among the options `defense` names the registered defense where
            the same one is tried twice with different options, under names of your own, and `stack` lists several, the
            outermost first, to be tried as one.
        where: the option that holds them, for messages.
    """

    named: Named
    where: str
    _built: dict[str, Defense] = field(default_factory=dict, compare=False, repr=False)

    @property
    def blocks(self) -> Mapping[str, Mapping[str, Any]]:
        """Options by name."""
        return by_name(self.named)

    def check(self) -> None:
        """Look every name up.

        Raises:
            ConfigError: no defense has that name.
            ValueError: a stack has options of its own.
        """
        for name, block in self.blocks.items():
            parts = by_name(block["stack"]) if "stack" in block else {name: block}
            for part, options in parts.items():
                registry.load("defenses", str(options.get("defense", part)), where=self.where)
            if "stack" in block and len(block) > 1:
                other = next(option for option in block if option != "stack")
                raise ValueError(f"defenses.{name}.{other}: a stack has no options of its own; give them to its parts")

    def build(self, context: Context) -> dict[str, Defense]:
        """The defenses by name, built once."""
        for name, block in self.blocks.items():
            if name not in self._built:
                self._built[name] = self._defense(name, block, context)
        return self._built

    def _defense(self, name: str, block: Mapping[str, Any], context: Context) -> Defense:
        where = f"{self.where}.{name}"
        if "stack" in block:
            parts = by_name(block["stack"])
            return Stack(name, [self._defense(part, options, context) for part, options in parts.items()])
        factory = registry.load("defenses", str(block.get("defense", name)), where=where)
        options = {k: v for k, v in block.items() if k not in _OWN}
        defense: Defense = build(factory, {**provided(factory, context), **options}, where=where)
        return defense


def protect(defenses: Mapping[str, Defense], context: Context, card: ReportCard, *, metric: str) -> list[Protected]:
    """Put every defense in place that can protect this target; the others are reported with the reason.

    Args:
        defenses: built, by registered name.
        context: of the bare target.
        card: collects the findings.
        metric: of the finding that says why a defense is not in place.
    """
    placed = []
    for door, (name, defense) in enumerate(defenses.items(), 1):
        reason = defense.info.lacking(context.info, context.task)
        if reason is None:
            try:
                target = defense.protect(context.gateway.target)
            except ConfigError as error:
                reason = str(error)
            else:
                inner = replace(context, gateway=context.gateway.behind(target, door))
                placed.append(Protected(name, defense, target, inner))
        if reason is not None:
            card.skip(metric, defense.info.title, reason, defense=name)
    return placed
