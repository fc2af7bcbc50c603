"""Anchors by variants by repeats: the experiment that most fairness probes are, and what came back.

An anchor is a request that says nothing of any sensitive attribute; a variant is what is done to it. Every variant is
asked of every anchor, so that each comparison is paired within anchors: the unit of inference is the anchor's `unit`,
never the call and never the place in a list. Questions are asked in random order, so that whatever changes while an
audit runs does not line up with a variant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from audit.edits import Edit, apply
from audit.gateway import Ask
from audit.modules.base import Context
from audit.types import Answer, Outcome, Request

Kind = Literal["neutral", "value", "placebo", "paraphrase", "control"]
"""`neutral`: the anchor as it is. `value`: says the value of a sensitive attribute, or whatever is probed. `placebo`:
the same syntax without a social meaning. `paraphrase`: the anchor in other words. `control`: another harmless change,
such as a slip of the same size."""

NEUTRAL = "neutral"
"""Id of the variant that changes nothing; every grid has it."""


@dataclass(frozen=True)
class Anchor:
    """One unit of a paired comparison.

    Attributes:
        id: stable name.
        request: in its neutral form.
        unit: unit of inference, if several anchors belong to one; by default the anchor itself.
        relevant: ids of held-out items, if any are known.
        drop: names that are left out of what comes back, such as the anchor itself where it is an item.
    """

    id: str
    request: Request
    unit: str = ""
    relevant: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()

    @property
    def who(self) -> str:
        """The unit of inference."""
        return self.unit or self.id


@dataclass(frozen=True)
class Variant:
    """What is done to every anchor.

    Attributes:
        id: stable name, such as `gender=female`.
        kind: see `Kind`.
        edits: from the anchor's request to what is asked.
        attribute: name of the attribute, for values.
        value: its value, for values; the phrase, for placebos.
    """

    id: str
    kind: Kind
    edits: Callable[[Request], Sequence[Edit]]
    attribute: str = ""
    value: str = ""


def neutral() -> Variant:
    """The variant that changes nothing."""
    return Variant(NEUTRAL, "neutral", lambda _: ())


@dataclass(frozen=True)
class Reading:
    """One answer, as the comparisons see it.

    Attributes:
        names: distinct entries among the first k, best first: the id, or for a title that matched no item the title
            itself, marked so that it equals no id. For scores, all candidates by score. Empty where there is nothing
            to read.
        raw: the same before repeats were taken out: what the published similarity measures of FaiRLLM were taken on.
        outcome: of the answer.
        asked: how many entries were asked for.
        unmatched: how many of `names` are titles that matched no item.
        scores: by candidate id, for the task `score`.
    """

    names: tuple[str, ...]
    raw: tuple[str, ...]
    outcome: Outcome
    asked: int
    unmatched: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether there is a list to compare."""
        return self.outcome == "ok" and bool(self.names)

    @property
    def short(self) -> bool:
        """Whether the list is valid and holds fewer entries than were asked for."""
        return self.valid and len(self.names) < self.asked


def read(anchor: Anchor, request: Request, answer: Answer) -> Reading:
    """What an answer says about an anchor."""
    if answer.outcome != "ok":
        return Reading((), (), answer.outcome, request.k)
    if request.task == "score":
        scores = {r.item_id: float(r.score) for r in answer.ranked if r.item_id is not None and r.score is not None}
        order = tuple(sorted(scores, key=lambda item: -scores[item]))  # stable: ties keep the order of the candidates
        return Reading(order, order, answer.outcome, len(request.candidates or ()), scores=scores)
    marked = (r.item_id if r.item_id is not None else f"\0{r.title}" for r in answer.ranked)
    raw = tuple(name for name in marked if name not in anchor.drop)[: request.k]
    names = tuple(dict.fromkeys(raw))
    return Reading(names, raw, answer.outcome, request.k, sum(name.startswith("\0") for name in names))


@dataclass(frozen=True)
class Grid:
    """An experiment.

    Attributes:
        name: stable; names its random streams and its progress.
        anchors: the units.
        variants: what is asked of each, the neutral one among them.
        repeats: how often each question is asked; every repeat is a true one.
    """

    name: str
    anchors: Sequence[Anchor]
    variants: Sequence[Variant]
    repeats: int = 1

    def __post_init__(self) -> None:
        if NEUTRAL not in self.by_id:
            raise ValueError(f"grid {self.name}: it has no neutral variant")
        if len(self.by_id) < len(self.variants) or len({a.id for a in self.anchors}) < len(self.anchors):
            raise ValueError(f"grid {self.name}: two variants or two anchors have the same id")

    @cached_property
    def by_id(self) -> Mapping[str, Variant]:
        """Variants by id."""
        return {variant.id: variant for variant in self.variants}

    @cached_property
    def requests(self) -> Mapping[str, Sequence[Request]]:
        """By variant, the request of each anchor."""
        return {v.id: [apply(v.edits(a.request), a.request) for a in self.anchors] for v in self.variants}

    def asks(self, rng: np.random.Generator) -> list[Ask]:
        """Every question, in random order."""
        asks = [ask for _, _, _, ask in self._cells(self.variants, self.repeats)]
        return [asks[i] for i in _mixed(len(asks), 1, rng)]

    def run(self, context: Context) -> Readings:
        """Ask and read.

        A local target that gives every anchor the same answer each time it is asked in neutral form is asked everything
        else once: further repeats could tell nothing new. `Readings.repeats` says how often was asked.
        """
        rng = context.rng("fairness", self.name, "order")
        repeats = self.repeats
        if repeats > 1 and not (context.info.remote or context.info.randomised):
            first = self._answers(context, [self.by_id[NEUTRAL]], repeats, rng)
            if all(len(set(r.raw for r in runs)) == 1 for runs in first[NEUTRAL]):
                repeats = 1
        found = self._answers(context, self.variants, repeats, rng)
        return Readings(self, repeats, found)

    def _answers(
        self, context: Context, variants: Sequence[Variant], repeats: int, rng: np.random.Generator
    ) -> dict[str, list[tuple[Reading, ...]]]:
        cells = list(self._cells(variants, repeats))
        order = _mixed(len(cells), 1 if context.info.remote else repeats, rng)
        answers = context.gateway.ask([cells[i][3] for i in order], label=f"Fairness: {self.name}")
        by_cell = dict(zip(order.tolist(), answers, strict=True))
        found: dict[str, list[list[Reading]]] = {v.id: [[] for _ in self.anchors] for v in variants}
        for i, (variant, at, _, ask) in enumerate(cells):
            found[variant.id][at].append(read(self.anchors[at], ask.request, by_cell[i]))
        return {name: [tuple(runs) for runs in by_anchor] for name, by_anchor in found.items()}

    def _cells(self, variants: Sequence[Variant], repeats: int) -> Iterator[tuple[Variant, int, int, Ask]]:
        for variant in variants:
            for at, request in enumerate(self.requests[variant.id]):
                for repeat in range(repeats):
                    yield variant, at, repeat, Ask(request, repeat)


def _mixed(count: int, together: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A random order of all cells, in which blocks of neighbours stay together.

    The blocks are the repeats of one prompt. A target on this machine reads them once, and does not change meanwhile.
    """
    blocks = rng.permutation(count // together)
    return (blocks[:, None] * together + np.arange(together)).ravel()


@dataclass(frozen=True)
class Readings:
    """What came back from a grid.

    Attributes:
        grid: the experiment.
        repeats: how often each question was asked in the end; 1 for a target that answers the same each time.
        found: by variant, per anchor, one reading per repeat.
    """

    grid: Grid
    repeats: int
    found: Mapping[str, Sequence[tuple[Reading, ...]]]

    def __getitem__(self, variant: str) -> Sequence[tuple[Reading, ...]]:
        return self.found[variant]

    def of(self, *kinds: Kind) -> list[Variant]:
        """The variants of these kinds, in the grid's order."""
        return [v for v in self.grid.variants if v.kind in kinds]

    @cached_property
    def valid(self) -> Mapping[str, Sequence[bool]]:
        """By variant, per anchor, whether every repeat gave a list."""
        return {name: [all(r.valid for r in runs) for runs in by_anchor] for name, by_anchor in self.found.items()}
