"""What changes for each group when its members say who they are: the same requests, neutral and with the true value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from audit import stats
from audit.edits import apply
from audit.gateway import Ask
from audit.modules.base import Context
from audit.modules.fairness.groups.desk import Desk, Measure, served
from audit.modules.fairness.groups.people import UNKNOWN, Grouping
from audit.modules.fairness.statements import Channel, Statement, channel_of, disclose, place, without
from audit.modules.report_card import mde_of
from audit.types import Request

CODES: Mapping[str, str] = {"F": "female", "M": "male", "f": "female", "m": "male"}
"""What the codes of common files say."""


@dataclass(frozen=True)
class Disclosure:
    """The two arms for one column.

    Attributes:
        grouping: the column.
        channel: where the statement stands.
        phrases: what is said for a value, where the value itself does not say it.
    """

    grouping: Grouping
    channel: Channel
    phrases: Mapping[str, str]

    @property
    def statement(self) -> Statement:
        """The sentence."""
        return Statement()

    def neutral(self, context: Context) -> list[Request]:
        """Every request, saying nothing."""
        return [
            place(without(request, [self.grouping.name]), self.channel, self.statement.says())
            for request in context.requests
        ]

    def disclosing(self, context: Context) -> list[Request]:
        """Every request, saying the user's own value; as it was where that is not known."""
        said = []
        for request, label, case in zip(
            self.neutral(context), self.grouping.labels.tolist(), context.cases, strict=True
        ):
            value = context.dataset.users.get(case.unit, {}).get(self.grouping.name, "")
            if label == UNKNOWN or value == "":
                said.append(request)
                continue
            sentence = self.statement.says(self._phrase(str(value)))
            edits = disclose(
                request, self.channel, self.statement.says(), sentence, self.grouping.name, cast(str, value)
            )
            said.append(apply(edits, request))
        return said

    def _phrase(self, value: str) -> str:
        if value in self.phrases:
            return self.phrases[value]
        if self.grouping.name == "age" and value.replace(".", "", 1).isdigit():
            return f"{float(value):g}-year-old"
        return CODES.get(value, value)

    def asks(self, context: Context) -> list[Ask]:
        """Both arms as questions."""
        return [Ask(request) for request in (*self.neutral(context), *self.disclosing(context))]

    def judge(self, desk: Desk, measures: Sequence[Measure]) -> None:
        """The change for each group, paired within users."""
        context = desk.context
        before = served(context.cases, context.ask(self.neutral(context), label="Nothing disclosed"), measures)
        after = served(context.cases, context.ask(self.disclosing(context), label="Value disclosed"), measures)
        measure = measures[0]
        change = after[measure] - before[measure]
        for group in self.grouping.reported:
            if group == UNKNOWN:
                continue
            inside = self.grouping.member(group) & np.isfinite(change)
            rng, card = desk.rng("disclosure", self.grouping.name, group), desk.explored
            card.add(
                "disclosure_effect",
                f"What users with {self.grouping.name} {group} gain by saying so",
                stats.mean_interval(change[inside], rng=rng, level=card.level, bounds=(-1.0, 1.0)),
                n=int(inside.sum()),
                direction="higher_is_better",
                params=desk.params(self.grouping.name, group=group, measure=measure, channel=self.channel.value),
                test="paired permutation, two-sided",
                p=stats.paired_permutation(after[measure][inside], before[measure][inside], rng=rng),
                mde=mde_of(change[inside]),
                values={desk.units[i]: float(change[i]) for i in np.flatnonzero(inside)},
            )


def disclosures(
    context: Context, groupings: Sequence[Grouping], phrases: Mapping[str, str], channel: str | None
) -> list[Disclosure]:
    """The arms for every plain column; none for a target that reads no statement."""
    where = channel_of(context.info, channel)
    return [] if where is None else [Disclosure(g, where, phrases) for g in groupings if not g.parts]
