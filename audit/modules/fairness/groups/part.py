"""The part: how well real groups of users are served, whatever the prompt says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.fairness.cards import cards, decided
from audit.modules.fairness.exposure.columns import genre_column
from audit.modules.fairness.groups import calibration, gaps
from audit.modules.fairness.groups.desk import MEASURES, Desk, Measure, served
from audit.modules.fairness.groups.disclosure import Disclosure, disclosures
from audit.modules.fairness.groups.people import Grouping, default_columns, grouping
from audit.modules.outcomes import score_outcomes
from audit.modules.sheet import Sheet
from audit.types import Answer


@dataclass(frozen=True)
class Groups:
    """Quality and calibration by real groups of users, from the clean requests, which the run asks anyway.

    Attributes:
        attributes: columns of the users, one name or several; a list inside the list crosses its columns. None for
            every column with at least two levels that is no free text.
        bins: upper ends of the ranges a column of numbers is cut into, by column; the last range is open. `age` has 24
            and 44 by default, other columns three ranges of equal size.
        smallest: users below which a group is not reported.
        measures: `ndcg`, `hr`, `recall` for rankings, `right`, `uauc` for scores; the first is decided on. None for
            NDCG and hit rate, or right decisions and AUC within users.
        against: what a group is compared with: all `others`, or one group by name.
        column: of the items whose values tastes are made of; lists are held against histories by it. None for the
            catalogue's genres.
        disclose: whether to ask again with the user's true value stated, which costs two more questions per user and
            column.
        phrases: what is said for a value, where the value itself does not say it.
        channel: where it is said; None for the first that the target reads.
    """

    attributes: Sequence[str | Sequence[str]] | str | None = None
    bins: Mapping[str, Sequence[float]] = field(default_factory=dict)
    smallest: int = 30
    measures: Sequence[Measure] | None = None
    against: str = "others"
    column: str | None = None
    disclose: bool = False
    phrases: Mapping[str, str] = field(default_factory=dict)
    channel: str | None = None

    def __post_init__(self) -> None:
        if self.smallest < 2:
            raise ValueError(f"smallest: {self.smallest} must be at least 2")
        known = [m for measures in MEASURES.values() for m in measures]
        for measure in self.measures or ():
            if measure not in known:
                raise ValueError(f"measures: {measure!r} must be one of {', '.join(known)}")
        for name, ends in self.bins.items():
            if not ends or list(ends) != sorted(set(ends)):
                raise ValueError(f"bins.{name}: {list(ends)} must be rising numbers, such as [24, 44]")
        if self.attributes is not None and not self.attributes:
            raise ValueError("attributes: it is empty; name a column of the users, or leave it out for all")

    def lacking(self, context: Context) -> str | None:
        """Groups need a users' file, and answers that can be good or bad."""
        if context.task not in MEASURES:
            return "free text has no measure of quality to compare; use task: rank or score"
        if not context.dataset.users:
            return "nothing is known of the users; give a file of users with columns such as gender or age"
        if unfit := [m for m in self.measures or () if m not in MEASURES[context.task]]:
            return f"the measure {unfit[0]!r} is none of the task {context.task!r}"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """The clean requests, and both arms of the disclosure."""
        arms = [ask for arm in self._arms(context) for ask in arm.asks(context)]
        return [*(Ask(request) for request in context.requests), *arms]

    def run(self, context: Context, *, examples: int) -> Output:
        """Read the clean answers and conclude."""
        answers = context.ask(context.requests, label="Clean requests")
        primary, explored = cards(context)
        output = Output()
        measures = self._measures(context)
        sheet = Sheet(context, primary, output, examples)
        values = served(context.cases, answers, measures)
        desk = Desk(context, values, primary, explored, sheet, self.against)
        for names in self._wanted(context):
            found = grouping(context, names, self.bins, self.smallest)
            title = f"Quality by {' × '.join(names)}"
            if isinstance(found, str):
                explored.skip("quality_gap", title, found, part="groups", attribute=" × ".join(names))
                continue
            if found.left_out:
                params = {"part": "groups", "attribute": found.name, "group": "(small)"}
                explored.skip("quality_gap", f"{title}: small groups", found.left_out, **params)
            if self.against != "others" and self.against not in found.reported:
                reason = f"no reported group of {found.name!r} is {self.against!r}"
                explored.skip("quality_gap", title, reason, part="groups", attribute=found.name)
                continue
            self._judge(desk, found, measures, answers)
        for arm in self._arms(context):
            arm.judge(desk, measures)
        output.findings = [*decided(primary), *explored.corrected()]
        output.values = {**primary.values, **explored.values}
        return output

    def _judge(self, desk: Desk, found: Grouping, measures: Sequence[Measure], answers: Sequence[Answer]) -> None:
        for measure in measures:
            gaps.quality(desk, found, measure)
            crossed = bool(found.parts)
            first = measure == measures[0] and not crossed
            gaps.gaps(desk, found, measure, desk.primary if first else desk.explored, shrink=crossed)
            if crossed:
                gaps.interaction(desk, found, measure)
            else:
                gaps.spread(desk, found, measure)
        if found.parts:
            return
        if desk.context.task == "score":
            calibration.score_gaps(desk, found, score_outcomes(desk.context.cases, answers))
        elif (column := self.column or genre_column(desk.context.dataset.catalog)) is not None:
            divergence, floors = calibration.tastes(desk, answers, column)
            if np.isfinite(divergence).any():
                calibration.taste_gaps(desk, found, divergence, floors, column)

    def _measures(self, context: Context) -> tuple[Measure, ...]:
        return tuple(self.measures) if self.measures else MEASURES[context.task][:2]

    def _wanted(self, context: Context) -> list[tuple[str, ...]]:
        if self.attributes is None:
            return [(name,) for name in default_columns(context)]
        given = [self.attributes] if isinstance(self.attributes, str) else self.attributes
        return [(name,) if isinstance(name, str) else tuple(name) for name in given]

    def _arms(self, context: Context) -> list[Disclosure]:
        if not self.disclose:
            return []
        found = (grouping(context, names, self.bins, self.smallest) for names in self._wanted(context))
        return disclosures(context, [g for g in found if isinstance(g, Grouping)], self.phrases, self.channel)
