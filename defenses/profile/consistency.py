"""The consistency filter: history items that do not go with the others are dropped before the target reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from audit.defense import DefenseInfo, Rewriting
from audit.edits import Edit, HistoryDrop, Zone
from audit.errors import ConfigError
from audit.target import Input, Recommender
from audit.types import Request
from defenses.profile.judge import Judge, RaisesAlarm
from defenses.profile.options import ProfileDefense

When = Literal["always", "alarm"]
"""Whether flagged items are dropped from every history, or only from one that is suspicious as a whole: then nearly
every clean request stays as it is, and an attack that raises no alarm does, too."""


@dataclass(frozen=True)
class ConsistencyFilter(ProfileDefense):
    """Scores each history item by the mean of its PMI⁺ with the others, and drops those that stand out downwards.

    The score is held against clean histories of the same length as a robust z; τ is set so that a share `fpr` of clean
    items lies below -τ. At most a third of a history is dropped, the worst first. Cold items, and items outside the
    catalogue of the log, are neither judged nor counted.

    Attributes:
        when: see `When`.
    """

    when: When = field(default="always", kw_only=True)

    def __post_init__(self) -> None:
        self.check("consistency-filter")
        if self.when not in get_args(When):
            raise ConfigError(
                f"defenses.consistency-filter.when: {self.when!r} must be one of {', '.join(get_args(When))}"
            )

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="consistency-filter",
            title="Items that do not fit the history dropped",
            why="Items that somebody else put into a history seldom occur together with those its owner chose.",
            reference="PMI: Church and Hanks 1990; item consistency as in RETURN, 2025 (arXiv 2504.02458)",
            family="profile",
            guards=frozenset({Zone.PLATFORM}),
            needs=frozenset({Input.HISTORY}),
            limits="Items that occur together with the history pass; tastes of their own are mistaken for noise.",
            missing=self.lacking,
        )

    def protect(self, target: Recommender) -> FilteredHistory:
        """The target behind the filter.

        Raises:
            ConfigError: there is no log to learn from.
        """
        judge = self.judge(self.graph.affinities)
        return FilteredHistory(target, self.info, self.settings(judge), judge, self.when)


class FilteredHistory(RaisesAlarm, Rewriting):
    """A target that does not get to see history items that stand out.

    Filtering what is filtered already changes nothing, unless a third of the history was dropped: that is the limit of
    one pass, and a second one is allowed a third of what is left.

    Args:
        target: what is protected.
        defense: the declaration.
        options: for the fingerprint.
        judge: says which items stand out.
        when: see `When`.
    """

    def __init__(
        self, target: Recommender, defense: DefenseInfo, options: dict[str, object], judge: Judge, when: When
    ) -> None:
        super().__init__(target, defense, {**options, "when": when})
        self.judge, self.when = judge, when

    def edits(self, requests: Sequence[Request]) -> list[tuple[Edit, ...]]:
        """Drop what is flagged, from the highest position down, so that every position is one of the clean request."""
        return [
            tuple(HistoryDrop(position) for position in sorted(found.flagged, reverse=True))
            if self.when == "always" or found.suspicion > self.threshold
            else ()
            for found in self.judgements(requests)
        ]
