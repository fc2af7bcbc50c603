"""What the defenses of this package have in common: the log, the clean requests, and how they look at both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from audit.data.dataset import Dataset
from audit.errors import ConfigError
from audit.types import Request
from defenses.profile.graph import MEASURES, ItemGraph, Measure
from defenses.profile.judge import Judge, Support


@dataclass(frozen=True)
class ProfileDefense:
    """Options shared by the defenses of this package.

    Attributes:
        dataset: the log from which the graph is made. The users under audit must not be in it.
        validation: clean requests of users who are not under audit, for norms and thresholds; see `Judge` for what
            stands in where there are few.
        window: places between two events that count as together; None for the whole history.
        shrink: λ, pseudo-counts against chance in rare pairs.
        measure: see `defenses.profile.graph.Measure`.
        fpr: share of clean items that may be flagged.
        least: people who must have an item before it is judged; items of fewer are cold and stay.
    """

    dataset: Dataset | None = field(default=None, repr=False)
    validation: Sequence[Request] = field(default=(), repr=False)
    window: int | None = field(default=10, kw_only=True)
    shrink: float = field(default=1.0, kw_only=True)
    measure: Measure = field(default="pmi", kw_only=True)
    fpr: float = field(default=0.05, kw_only=True)
    least: int = field(default=5, kw_only=True)

    def check(self, name: str) -> None:
        """Raise ConfigError for an option that cannot be used, named as an option of this defense."""
        where = f"defenses.{name}"
        if self.window is not None and self.window < 1:
            raise ConfigError(f"{where}.window: {self.window} must be at least 1; leave it empty for whole histories")
        if not 0 <= self.shrink < float("inf"):
            raise ConfigError(f"{where}.shrink: {self.shrink} must be a number of at least 0")
        if self.measure not in MEASURES:
            raise ConfigError(f"{where}.measure: {self.measure!r} must be one of {', '.join(MEASURES)}")
        if not 0 < self.fpr < 1:
            raise ConfigError(f"{where}.fpr: {self.fpr} must lie between 0 and 1")
        if self.least < 1:
            raise ConfigError(f"{where}.least: {self.least} must be at least 1")

    @property
    def lacking(self) -> str:
        """What is missing, as the end of a sentence; empty when nothing is."""
        return "" if self.dataset is not None else "give it `dataset`, the log without the users under audit"

    @cached_property
    def graph(self) -> ItemGraph:
        """The graph of the log.

        Raises:
            ConfigError: there is no log.
        """
        if self.dataset is None:
            raise ConfigError(f"defenses: a graph of items that occur together needs a log; {self.lacking}")
        return ItemGraph(self.dataset, window=self.window, shrink=self.shrink, measure=self.measure)

    def judge(self, support: Support) -> Judge:
        """Who says which items do not belong."""
        return Judge(self.graph, self.validation, support, self.fpr, self.least)

    def settings(self, judge: Judge) -> dict[str, object]:
        """All on which a judgement depends, for the fingerprint."""
        numbers = {name: getattr(self, name) for name in ("window", "shrink", "measure", "fpr", "least")}
        return {**numbers, "learned": judge.digest}
