"""What a defense declares, and the protocol that every defense follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from audit.edits import Zone
from audit.target import Input, Insight, Recommender, TargetInfo
from audit.types import Task

Family = Literal["input", "prompt", "profile", "smoothing", "output", "training"]
"""Where a defense works: on the text that comes in, on how it is put before the model, on the user's history, by votes
over many copies, on the answer, or on the weights."""


@dataclass(frozen=True)
class DefenseInfo:
    """What a defense declares.

    Attributes:
        id: registry name.
        title: what it does, for a report.
        why: what it is good for, in one sentence.
        reference: paper or practice it follows.
        family: see `Family`.
        guards: the trust zones whose writers it is meant to withstand; what the others write it lets through.
        calls: asks of the bare target behind one answer, for a request of ordinary size.
        randomised: whether the same request may be answered differently, because the defense draws at random.
        needs: inputs the target must honour (any one of them suffices), or the defense has nothing to work on.
        sees: insights it needs.
        tasks: tasks it can defend.
        limits: what beats it, in one sentence.
        controls: framework tags with edition.
        missing: what the defense itself still needs before it can run, as the end of a sentence; empty when it is
            ready.
    """

    id: str
    title: str
    why: str
    reference: str
    family: Family
    guards: frozenset[Zone]
    calls: float = 1.0
    randomised: bool = False
    needs: frozenset[Input] = frozenset()
    sees: frozenset[Insight] = frozenset()
    tasks: tuple[Task, ...] = ("rank", "score", "answer")
    limits: str = ""
    controls: tuple[str, ...] = ()
    missing: str = ""

    def lacking(self, target: TargetInfo, task: Task) -> str | None:
        """Why the defense cannot protect this target, or None if it can."""
        if self.missing:
            return f"{self.id} is not ready: {self.missing}"
        if task not in self.tasks:
            return f"{self.id} does not defend the task {task!r}"
        if self.needs and not self.needs & target.honours:
            wanted = " or ".join(sorted(self.needs))
            return f"the target does not read {wanted}, on which {self.id} works"
        if missing := sorted(self.sees - target.reveals):
            return f"the target does not reveal {', '.join(missing)}, which {self.id} needs"
        return None


@runtime_checkable
class Defense(Protocol):
    """Wraps a Recommender so that it withstands something.

    What it wants to know of the data it asks for by the names of its factory's parameters: `catalog`, `popularity`,
    `dataset` (the log without the users under audit) and `validation` (clean requests of other users, on which
    thresholds may be set).
    """

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        ...

    def protect(self, target: Recommender) -> Recommender:
        """The defended target; most often a `Defended`.

        Raises:
            ConfigError: this target cannot be protected, for a reason that its declaration does not show.
        """
        ...
