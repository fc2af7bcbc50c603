"""What the conformance check reports: observations, and which checks will run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from audit.types import Task

Level = Literal["ok", "warn", "fail"]
"""`fail`: an audit would be wrong or impossible; `warn`: an audit runs, and the reader should know; `ok`: as it is."""


@dataclass(frozen=True)
class Observation:
    """One thing that was seen.

    Attributes:
        id: stable name.
        level: see `Level`.
        text: what was seen, in one sentence.
        mend: what to do about it, in one sentence; empty where nothing needs doing.
        counts: the figures behind the sentence.
    """

    id: str
    level: Level
    text: str
    mend: str = ""
    counts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """Whether an installed module or attack will run on this target, and why not where it will not."""

    kind: Literal["module", "attack"]
    name: str
    runs: bool
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """What the conformance check saw.

    Attributes:
        target: its name.
        task: what it was asked.
        users: how many it was asked about.
        requests: how many requests were sent, repeats and edits included.
        observations: in the order in which they were made.
        checks: one per installed module and attack.
    """

    target: str
    task: Task
    users: int
    requests: int
    observations: tuple[Observation, ...]
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """0 when nothing fails, else 1."""
        return int(any(o.level == "fail" for o in self.observations))

    @property
    def verdict(self) -> str:
        """The report in one sentence."""
        fails, warns = (sum(o.level == level for o in self.observations) for level in ("fail", "warn"))
        able = sum(c.runs for c in self.checks)
        head = "not ready to be audited" if fails else "ready to be audited"
        return f"{self.target} is {head}: {fails} fail, {warns} warn; {able} of {len(self.checks)} checks will run."

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "schema": 1,
            "target": self.target,
            "task": self.task,
            "users": self.users,
            "requests": self.requests,
            "verdict": "fail" if self.exit_code else "ok",
            "observations": [{**vars(o), "counts": dict(o.counts)} for o in self.observations],
            "checks": [dict(vars(c)) for c in self.checks],
        }
