"""Several defenses, one behind the other: evaluated as one system, never by multiplying what each does alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audit.defense.info import Defense, DefenseInfo
from audit.errors import ConfigError
from audit.target import Recommender, TargetInfo, describe
from audit.types import Task


@dataclass(frozen=True)
class Stack:
    """Defenses in the order in which a request meets them.

    Attributes:
        name: of the whole.
        parts: the outermost first.
    """

    name: str
    parts: Sequence[Defense]

    def __post_init__(self) -> None:
        if len(self.parts) < 2:
            raise ConfigError(f"defenses.{self.name}.stack: a stack needs at least two defenses")

    @property
    def info(self) -> DefenseInfo:
        """The declaration of the whole: it guards what any part guards and lacks what any part lacks."""
        infos = [part.info for part in self.parts]
        return _StackInfo(
            id=self.name,
            title=" behind ".join([infos[0].title, *(info.title[:1].lower() + info.title[1:] for info in infos[1:])]),
            why="Each part is meant for what the others let through.",
            reference="; ".join(info.reference for info in infos),
            family=infos[0].family,
            guards=frozenset(zone for info in infos for zone in info.guards),
            calls=math.prod(info.calls for info in infos),
            randomised=any(info.randomised for info in infos),
            tasks=tuple(task for task in infos[0].tasks if all(task in info.tasks for info in infos)),
            limits=" ".join(info.limits for info in infos),
            parts=tuple(infos),
        )

    def protect(self, target: Recommender) -> Recommender:
        """The target behind all of them; each must be able to protect what is behind it."""
        for part in reversed(self.parts):
            inner = describe(target)
            if not any(part.info.lacking(inner, task) is None for task in inner.tasks):
                raise ConfigError(
                    f"defenses.{self.name}.stack: {part.info.id} cannot stand before {inner.name}: "
                    f"{part.info.lacking(inner, inner.tasks[0])}"
                )
            target = part.protect(target)
        return target


@dataclass(frozen=True)
class _StackInfo(DefenseInfo):
    parts: tuple[DefenseInfo, ...] = ()

    def lacking(self, target: TargetInfo, task: Task) -> str | None:
        """The first reason that any part gives."""
        return next((reason for part in self.parts if (reason := part.lacking(target, task))), None)
