"""Control: one flaw of known size, planted into any recommender, and what an audit must say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from audit.controls.needs import Needs, nothing
from audit.data.dataset import Dataset
from audit.findings import Finding, Param
from audit.target import Recommender
from audit.types import Task

Plant = Callable[[Recommender, Dataset, float, np.random.Generator], Recommender]
"""(base, dataset, size, rng) to a wrapper with the flaw. Size 0 is the clean twin: the same wrapper, nothing in it."""

Truth = Callable[[float], float | None]


@dataclass(frozen=True)
class Control:
    """One planted flaw.

    Attributes:
        id: name, such as `repeats`.
        title: for a table.
        planted: what is planted, in one sentence that says what a size means.
        module: that must see it.
        metric: of that module.
        params: that the finding must have, as in a rule of a policy: None for a parameter that it must lack; one that
            is not named is free.
        plant: puts the flaw into a recommender. Its draws come from `rng` alone, which is new in every repetition.
        sizes: that are measured, from 0 (the clean twin) upwards.
        claimed: the size that the audit claims to see with `users` users, one of `sizes`.
        truth: true value of the metric by size, over all users that the world could hold, on the reference base
            (`worlds.Ideal`); None where it has no closed form. The argument for it stands in the plant's docstring.
        value: whether `truth` speaks of the finding's estimate or of its effect above the floor.
        limit: beyond which the lower end of the interval must lie for the flaw to count as seen; None for the verdict
            under the default policy.
        seen_by: a rule of its own instead: whether findings of this metric and params show the flaw.
        options: the module's block in a configuration: as little as the metric needs.
        users: that the claim speaks of.
        k: length of lists.
        candidates: offered in a request.
        history: events in a request; None for all.
        task: what the cases ask for.
        passages: rows of the catalogue that stand before each request, of items by lot that the user has not had.
        needs: of the data, where they are a user's own.
        runs: share of the usual repetitions, below 1 where one is slow.
    """

    id: str
    title: str
    planted: str
    module: str
    metric: str
    plant: Plant
    sizes: tuple[float, ...]
    claimed: float
    params: Mapping[str, Param] = field(default_factory=dict)
    truth: Truth = lambda _: None
    value: Literal["estimate", "effect"] = "estimate"
    limit: float | None = None
    seen_by: Callable[[Sequence[Finding]], bool] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    users: int = 100
    k: int = 5
    candidates: int | None = 10
    history: int | None = None
    task: Task = "rank"
    passages: int = 0
    needs: Needs = nothing
    runs: float = 1.0

    def __post_init__(self) -> None:
        if not self.sizes or self.sizes[0] != 0 or list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"control {self.id}: sizes {self.sizes} must begin with 0, the clean twin, and rise")
        if self.claimed not in self.sizes[1:]:
            raise ValueError(f"control {self.id}: claimed {self.claimed:g} must be one of the sizes above 0")
        if not 0 < self.runs <= 1:
            raise ValueError(f"control {self.id}: runs {self.runs:g} must be above 0 and at most 1")

    def about(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings that this control speaks of."""
        return [
            f
            for f in findings
            if (f.module, f.metric) == (self.module, self.metric)
            and all(f.params.get(name) == value for name, value in self.params.items())
        ]

    def sees(self, findings: Sequence[Finding]) -> bool:
        """Whether an audit with these findings, judged by the default policy, has seen the flaw."""
        about = self.about(findings)
        if self.seen_by is not None:
            return self.seen_by(about)
        if self.limit is None:
            return any(f.verdict == "fail" for f in about)
        ends = [f.effect_ci if self.value == "effect" else f.ci for f in about]
        return any(end is not None and end[0] > self.limit for end in ends)

    def measured(self, findings: Sequence[Finding]) -> tuple[float, float, float] | None:
        """Estimate and both ends of the interval of the finding; None where it could not be measured.

        Raises:
            ValueError: several findings fit, so that a single true value cannot be held against them.
        """
        about = [f for f in self.about(findings) if f.verdict != "not_applicable"]
        if len(about) > 1:
            raise ValueError(f"control {self.id}: {len(about)} findings fit; name more params")
        for found in about:
            value, ends = (found.effect, found.effect_ci) if self.value == "effect" else (found.estimate, found.ci)
            if value is not None and ends is not None:
                return value, ends[0], ends[1]
        return None
