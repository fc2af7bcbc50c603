"""Modules made of parts: each part asks one question with its own experiment and its own family of tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any, Protocol, cast

from audit.gateway import Ask
from audit.modules.base import Context, ModuleInfo, Output, build
from audit.modules.mitigation import changes
from audit.modules.protected import Shelf, protect
from audit.modules.report_card import ReportCard

Block = Mapping[str, Any] | bool | None
"""Options of a part: `{}` or `true` for its defaults, `false` or nothing to leave it out."""


class Part(Protocol):
    """What every part offers. Its constructor takes its block of options, by keyword.

    A part whose questions hang on earlier answers may also offer `stand_ins(context) -> list[Ask]`: those questions of
    its plan that only stand for as many others. Where another part asks one of them too, it is still to be paid for.

    Findings leave a part with their p-values corrected: within its primary family by Holm, within families that are
    only explored by Benjamini and Hochberg. `Output.values` holds, for every finding that a mitigation could move, one
    number per unit whose mean is the finding's effect, or else its estimate: behind a defense the same part is run
    again, and the change is tested within units.
    """

    def lacking(self, context: Context) -> str | None:
        """Why this target or these data cannot be asked this, as the end of a sentence; None if they can."""
        ...

    def plan(self, context: Context) -> list[Ask]:
        """Every question, the same list at each call; at most this is asked."""
        ...

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and conclude.

        Args:
            context: what is audited.
            examples: pieces of evidence kept per finding.
        """
        ...


@dataclass(frozen=True)
class Place:
    """Where a part is, and how it is spoken of.

    Attributes:
        path: `module:Class`; loaded when it is used.
        metric: under which it says that it could not run.
        title: of what it asks.
    """

    path: str
    metric: str
    title: str

    def load(self) -> Callable[..., Part]:
        """The class."""
        module, _, name = self.path.partition(":")
        return cast(Callable[..., Part], getattr(import_module(module), name))


@dataclass(frozen=True)
class Parts:
    """The parts of one module that are asked.

    Attributes:
        info: of the module.
        places: of all its parts, by name.
        built: those that are asked, by name.
        shelf: the defenses they are run again behind.
        examples: pieces of evidence kept per finding.
    """

    info: ModuleInfo
    places: Mapping[str, Place]
    built: Mapping[str, Part]
    shelf: Shelf
    examples: int
    _planned: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def plan(self, context: Context) -> list[Ask]:
        """What the parts ask of the bare target."""
        # Made once per context, for it is asked for again by `search_queries`, and may hold 100,000 questions.
        if self._planned.get("context") is not context:
            asks = [ask for part in self.built.values() if part.lacking(context) is None for ask in part.plan(context)]
            self._planned.update(context=context, asks=asks)
        return list(self._planned["asks"])

    def search_queries(self, context: Context) -> int:
        """What they may ask beyond the different questions of the plan, and all of it again behind each defense."""
        adaptive = [
            part for part in self.built.values() if hasattr(part, "stand_ins") and part.lacking(context) is None
        ]
        if not adaptive and not self.shelf.blocks:
            return 0
        key = context.gateway.key
        planned = Counter(key(ask) for ask in self.plan(context))
        standing = [Counter(key(ask) for ask in part.stand_ins(context)) for part in adaptive]
        replaced = sum(standing, Counter[object]())
        sure = sum(count > replaced[one] for one, count in planned.items())
        beyond = sure + sum(map(len, standing)) - len(planned)
        return beyond + len(self.shelf.blocks) * (len(planned) + beyond)

    def run(self, context: Context) -> Output:
        """Run every part, bare and then behind each defense; say what could not be asked, and why."""
        card, output = ReportCard(self.info.id, context.level, self.info.controls), Output()
        found: dict[str, Output] = {}
        for name, part in self.built.items():
            if reason := part.lacking(context):
                card.skip(self.places[name].metric, self.places[name].title, reason, part=name)
            else:
                found[name] = part.run(context, examples=self.examples)
        placed = protect(self.shelf.build(context), context, card, metric="mitigation_change")
        output.findings = list(card.findings)
        values: dict[str, Mapping[str, float]] = {}
        behind = (changes(self.info.id, one, self.built, found, examples=self.examples) for one in placed)
        for one in (*found.values(), *behind):
            output.findings += one.findings
            output.evidence += one.evidence
            values |= one.values
        output.values = values
        return output


class OfParts(ABC):
    """A module that is nothing but its parts."""

    @property
    @abstractmethod
    def parts(self) -> Parts:
        """The parts that are asked; built once."""

    def __post_init__(self) -> None:
        # Built at once, so that a mistake is found before anything is asked.
        if self.parts.examples < 0:
            raise ValueError(f"examples: {self.parts.examples} must be at least 0")
        self.parts.shelf.check()

    @property
    def info(self) -> ModuleInfo:
        """The declaration."""
        return self.parts.info

    def prepare(self, context: Context) -> None:
        """Build the defenses."""
        self.parts.shelf.build(context)

    def plan(self, context: Context) -> list[Ask]:
        """What the parts ask of the bare target."""
        return self.parts.plan(context)

    def search_queries(self, context: Context) -> int:
        """What they ask again behind each defense."""
        return self.parts.search_queries(context)

    def run(self, context: Context) -> Output:
        """Ask and conclude."""
        return self.parts.run(context)


def build_parts(
    places: Mapping[str, Place], blocks: Mapping[str, Block], *, where: str, shared: Mapping[str, Any] | None = None
) -> dict[str, Part]:
    """Build the parts that a module's options ask for.

    Args:
        places: of all parts, by name.
        blocks: options by part.
        where: the module's place in the configuration, for messages.
        shared: options that every part has unless its own block says otherwise; given to those that know them.

    Raises:
        ConfigError: a part refuses its options.
    """
    built: dict[str, Part] = {}
    for name, place in places.items():
        block = blocks[name]
        if block is None or block is False:
            continue
        factory = place.load()
        known = {f.name for f in fields(cast(Any, factory))}
        options = {k: v for k, v in (shared or {}).items() if k in known and v is not None}
        options |= {} if block is True else dict(block)
        built[name] = build(factory, options, where=f"{where}.{name}")
    return built
