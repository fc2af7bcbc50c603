"""The part: reads the run's clean rankings, and reports groups, spread and popularity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.fairness.cards import cards, decided
from audit.modules.fairness.exposure import gaps, groups, popular, spread
from audit.modules.fairness.exposure.columns import check_columns, columns, default_columns
from audit.modules.fairness.exposure.desk import REFERENCES, Desk
from audit.modules.fairness.exposure.lists import Discount, Lists, Shown, chart, popularity_of, read, shown
from audit.modules.outcomes import Floats
from audit.modules.sheet import Sheet

_DEFAULT = ("catalogue", "history", "merit")
_WITH_CANDIDATES = ("offered",)


@dataclass(frozen=True)
class Exposure:
    """Exposure of providers and items, from the rankings of the clean requests. It asks nothing further.

    Attributes:
        groups: columns of the items whose values are groups, one name or several; `popularity` stands for five groups
            of equal size by popularity. None for `genres`, if the items have them, and `popularity`.
        reference: what a group's share of exposure is held against, one name or several: `catalogue`, `history`,
            `merit`, `offered`. None for the first three, or for `offered` where requests name candidates.
        tail: the share of the items, most popular first, that is the head; all others are the long tail.
        discount: weight of a place in a list: `log` for 1 / log2(place + 1), `uniform` for 1.
        smallest: items below which a group is not reported.
        user_groups: columns of the users by whose values the popularity lift is reported as well.
        draws: how often random lists are drawn for the floors.
    """

    groups: str | Sequence[str] | None = None
    reference: str | Sequence[str] | None = None
    tail: float = 0.2
    discount: Discount = "log"
    smallest: int = 10
    user_groups: str | Sequence[str] | None = None
    draws: int = 199

    def __post_init__(self) -> None:
        if self.groups is not None and not several(self.groups):
            raise ValueError("groups: it is empty; name a column of the items, or leave it out for the default")
        if self.reference is not None and not several(self.reference):
            raise ValueError(f"reference: it is empty; name one of {', '.join(REFERENCES)}")
        for name in several(self.reference):
            if name not in REFERENCES:
                raise ValueError(f"reference: {name!r} is not one of {', '.join(REFERENCES)}")
        if not 0.0 < self.tail < 1.0:
            raise ValueError(f"tail: {self.tail} must be a share between 0 and 1, such as 0.2 for a head of 20 %")
        if self.discount not in ("log", "uniform"):
            raise ValueError(f"discount: {self.discount!r} must be 'log' or 'uniform'")
        if self.smallest < 1:
            raise ValueError(f"smallest: {self.smallest} must be at least 1")
        if self.draws < 19:
            raise ValueError(f"draws: {self.draws} must be at least 19, or no floor can be told from chance")

    def lacking(self, context: Context) -> str | None:
        """Exposure is a matter of lists.

        Raises:
            ConfigError: no item, or no user, has a column of that name.
        """
        if context.task != "rank":
            return f"the run asks for the task {context.task!r}; exposure is measured on rankings (target.task: rank)"
        if "offered" in several(self.reference) and not _offering(context):
            return "the reference 'offered' needs candidates in every request (dataset.candidates)"
        check_columns(context.dataset.catalog, several(self.groups))
        popular.check_attributes(context, several(self.user_groups))
        return None

    def plan(self, context: Context) -> list[Ask]:
        """The clean requests, which other modules ask too."""
        return [Ask(request) for request in context.requests]

    def run(self, context: Context, *, examples: int) -> Output:
        """Read the clean rankings and conclude."""
        answers = context.ask(context.requests, label="Clean requests")
        primary, explored = cards(context)
        output = Output()
        found = shown(context, answers, self.discount)
        if found is None:
            reason = "fewer than two users got a readable list"
            primary.skip("exposure_ratio", "Who gets the exposure", reason, part="exposure")
            return replace(output, findings=primary.findings)
        popularity, counted = popularity_of(context)
        desk = Desk(
            context=context,
            shown=found,
            popularity=popularity,
            counted=counted,
            rivals=_rivals(context, found, popularity),
            references=several(self.reference) or (_WITH_CANDIDATES if found.offered is not None else _DEFAULT),
            primary=primary,
            explored=explored,
            sheet=Sheet(context, primary, output, examples),
            params={"part": "exposure", "k": found.k},
            draws=self.draws,
        )
        spread.outside(desk)
        catalog = context.dataset.catalog
        for column in columns(catalog, several(self.groups) or default_columns(catalog), popularity, self.smallest):
            if column.left_out:
                title = f"Exposure of small groups of {column.name}"
                primary.skip("exposure_ratio", title, column.left_out, **desk.params, column=column.name)
            groups.judge(desk, column)
            gaps.judge(desk, column)
        spread.judge(desk, head=self.tail)
        popular.judge(desk, head=self.tail, user_groups=several(self.user_groups))
        return Output([*decided(primary), *decided(explored)], output.evidence, {**primary.values, **explored.values})


def several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name, several or none, as a tuple without repeats."""
    return tuple(dict.fromkeys((names,) if isinstance(names, str) else names or ()))


def _offering(context: Context) -> bool:
    return all(request.candidates is not None for request in context.requests)


def _rivals(context: Context, found: Shown, popularity: Floats) -> dict[str, Lists]:
    """What trivial recommenders list for the users who got a list: the chart, and the run's anchors."""
    rivals = {"popularity": chart(found, popularity)}
    for name, anchor in context.anchors().items():
        answers = anchor.recommend([case.request for case in found.cases])
        rivals[name], _ = read(answers, found.cases, context, found.discount)
    return rivals
