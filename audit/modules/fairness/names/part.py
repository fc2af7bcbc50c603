"""The part: every user signs with names of each group, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from audit.edits import Edit, SetAttribute, TextEdit, read_text
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.fairness.apart import first_cases, user_anchors
from audit.modules.fairness.design import Grid, Variant, neutral
from audit.modules.fairness.names.judge import Contrast, Judge
from audit.modules.fairness.names.lists import FEWEST, Cell, NameList, load
from audit.modules.fairness.statements import Channel, channel_of
from audit.types import Request


@dataclass(frozen=True)
class Names:
    """What a name changes.

    Attributes:
        columns: what the names hint at; None for all columns of the list.
        file: a CSV file with a column `name` and one per attribute; None for the shipped names.
        anchors: how many users are asked as, 0 for all of the run.
        per_group: how many names of each group every user signs with; two at least, because the distance between two
            names of one group is what the distance between groups is held against.
        channel: `note`, `instruction` or `attributes`; None for the first of them that the target reads.
        sentence: how the name is given; `{name}` is its place.
        attribute: name of the user attribute that holds the name, for the channel of attributes.
        reference: by column, the group that all others are compared with; without it all pairs are compared.
        repeats: how often each question is asked.
        permutations: relabellings of the names, where not all are looked at.
    """

    columns: Sequence[str] | None = None
    file: str | None = None
    anchors: int = 60
    per_group: int = 2
    channel: str | None = None
    sentence: str = "My name is {name}."
    attribute: str = "name"
    reference: Mapping[str, str] | None = None
    repeats: int = 1
    permutations: int = 9_999

    def __post_init__(self) -> None:
        for name, least in (("anchors", 0), ("per_group", FEWEST), ("repeats", 1), ("permutations", 199)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")
        if self.channel is not None and self.channel not in list(Channel):
            raise ValueError(f"channel: {self.channel!r} must be one of {', '.join(Channel)}")
        if self.sentence.count("{name}") != 1:
            raise ValueError(f"sentence: {self.sentence!r} must hold {{name}} once")
        for column, group in (self.reference or {}).items():
            if column not in self.names.columns:
                raise ValueError(f"reference: {column!r} must be one of {', '.join(self.names.columns)}")
            if group not in self.names.values(column):
                raise ValueError(f"reference: {group!r} must be one of {', '.join(self.names.values(column))}")
        if not self.contrasts:
            raise ValueError(f"columns: {', '.join(self.names.columns)}: no two groups have {FEWEST} names each")
        fewest = min(map(len, self.names.cells.values()))
        if self.per_group > fewest:
            raise ValueError(f"per_group: {self.per_group} must be at most {fewest}, the names of the smallest group")

    @cached_property
    def names(self) -> NameList:
        """The names to use."""
        return load(self.file, self.columns)

    @cached_property
    def contrasts(self) -> list[Contrast]:
        """Pairs of groups to be compared."""
        found = []
        for column in self.names.columns:
            chosen = (self.reference or {}).get(column)
            for a, b in combinations(self.names.values(column), 2):
                if chosen is not None and chosen not in (a, b):
                    continue
                group, against = (b, a) if chosen == a else (a, b)
                if cells := self.names.strata(column, group, against):
                    found.append(Contrast(column, group, against, tuple(cells)))
        return found

    def lacking(self, context: Context) -> str | None:
        """A name must be read, and an answer compared."""
        if context.task == "answer":
            return "the run asks for free text, and lists or scores are compared (target.task: rank or score)"
        if channel_of(context.info, self.channel) is None:
            where = self.channel or "note, instruction or attributes"
            return f"the target reads no {where}, so no name reaches it"
        if (users := len(first_cases(context, 0))) < FEWEST:
            return f"the run has {users} users, and at least {FEWEST} are needed"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every anchor without a name and with its names."""
        grid, _ = self._grid(context)
        return grid.asks(context.rng("fairness", "names", "plan"))

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and compare."""
        grid, dealt = self._grid(context)
        readings = grid.run(context)
        channel = self._channel(context)
        return Judge(context, readings, self.names, dealt, channel, self).output(self.contrasts, examples)

    def rename(self, request: Request, channel: Channel, old: str, new: str) -> list[Edit]:
        """The edits from a request that gives one name to the same with another."""
        if channel is Channel.ATTRIBUTES:
            return [SetAttribute(self.attribute, new)]
        start = self.sentence.index("{name}")
        return [TextEdit(channel.value, start, start + len(old), new)]

    def _grid(self, context: Context) -> tuple[Grid, Mapping[str, Mapping[Cell, tuple[str, ...]]]]:
        """The grid, and by the digest of an anchor's request which names it signs with."""
        channel = self._channel(context)
        anchors = user_anchors(context, self.anchors, {*self.names.columns, self.attribute})
        hands = self.names.deal(len(anchors), self.per_group, context.rng("fairness", "names", "deal"))
        # Anchors with the same request would be asked the same: they sign with the same names.
        dealt = {a.request.digest: {c: hands[c][i] for c in hands} for i, a in enumerate(anchors)}
        variants = [
            Variant(slot(cell, at), "value", self._sign(channel, dealt, cell, at), value=", ".join(cell))
            for cell in self.names.cells
            for at in range(self.per_group)
        ]
        return Grid("names", anchors, [neutral(), *variants], self.repeats), dealt

    def _sign(
        self, channel: Channel, dealt: Mapping[str, Mapping[Cell, tuple[str, ...]]], cell: Cell, at: int
    ) -> Callable[[Request], list[Edit]]:
        def edits(request: Request) -> list[Edit]:
            name = dealt[request.digest][cell][at]
            if channel is Channel.ATTRIBUTES:
                return [SetAttribute(self.attribute, name)]
            text = self.sentence.replace("{name}", name)
            return [TextEdit(channel.value, 0, 0, f"{text} " if read_text(request, channel.value) else text)]

        return edits

    def _channel(self, context: Context) -> Channel:
        channel = channel_of(context.info, self.channel)
        if channel is None:
            raise ValueError("channel: the target reads none; `lacking` says so")
        return channel


def slot(cell: Cell, at: int) -> str:
    """Id of the variant that signs with a cell's name number `at`."""
    return f"{', '.join(cell)} #{at + 1}"
