"""Who attacks, with what, and what counts as success: the declarations of an attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from audit.edits import Edit, Zone
from audit.errors import ThreatModelViolation
from audit.target import Input, Insight, TargetInfo
from audit.types import Task


class Goal(StrEnum):
    """What an adversary wants."""

    DEGRADE = "degrade"
    PROMOTE = "promote"
    FLIP = "flip"
    EXTRACT = "extract"


Knowledge = Literal["nothing", "text", "ranking", "scores", "logprobs", "gradients"]


@dataclass(frozen=True)
class ThreatModel:
    """Who attacks, with what.

    Attributes:
        zones: the trust zones the adversary writes.
        max_edits: most edits per request.
        max_queries: most true queries per request; None for no limit.
        sees: what comes back from the target.
        goal: what the adversary wants.
    """

    zones: frozenset[Zone]
    max_edits: int
    max_queries: int | None = 0
    sees: Knowledge = "nothing"
    goal: Goal = Goal.DEGRADE

    def check(self, edits: Sequence[Edit], queries: int = 0) -> None:
        """Hold edits and queries to the model.

        Raises:
            ThreatModelViolation: an edit outside the zones, or too many edits or queries.
        """
        for edit in edits:
            if edit.zone not in self.zones:
                allowed = ", ".join(sorted(self.zones))
                raise ThreatModelViolation(
                    f"edit {edit.kind}: zone {edit.zone!s} is outside the threat model ({allowed})"
                )
        if len(edits) > self.max_edits:
            raise ThreatModelViolation(f"{len(edits)} edits exceed the threat model's {self.max_edits}")
        if self.max_queries is not None and queries > self.max_queries:
            raise ThreatModelViolation(f"{queries} queries exceed the threat model's {self.max_queries}")


@dataclass(frozen=True)
class Objective:
    """What success means.

    Attributes:
        goal: see `Goal`.
        relevant: the true next items of each request, in the requests' order. Never inserted by an attack, since that
            would change the question.
        label_free: whether the adversary does not know `relevant` and works against the target's own clean answer, as
            everybody outside a laboratory must.
        item_id: for `promote`, the item to raise.
        draws: over how many draws of a target that answers at random the adversary averages its loss (expectation over
            the randomness of a defense: Athalye et al., "Obfuscated Gradients Give a False Sense of Security", ICML
            2018). All draws of one question count as one true query.
    """

    goal: Goal
    relevant: tuple[frozenset[str], ...] = ()
    item_id: str | None = None
    label_free: bool = False
    draws: int = 1


@dataclass(frozen=True)
class AttackInfo:
    """What an attack declares.

    Attributes:
        id: registry name.
        title: what it does, for a report.
        why: why an owner should care, in one sentence.
        reference: paper or practice it follows.
        threat_model: what it is allowed.
        needs: inputs the target must honour (any one of them suffices).
        sees: insights it needs; empty for black-box attacks on the ranking alone.
        tasks: tasks it can attack.
        queries_per_request: true queries spent per request, the answers before and after not counted.
        severity: of a success, unless the policy says otherwise.
        controls: framework tags with edition.
        missing: what the attack itself still needs before it can run, as the end of a sentence ("name a model with the
            option masked_lm"); empty when it is ready.
    """

    id: str
    title: str
    why: str
    reference: str
    threat_model: ThreatModel
    needs: frozenset[Input]
    sees: frozenset[Insight] = frozenset()
    tasks: tuple[Task, ...] = ("rank", "score", "answer")
    queries_per_request: int = 0
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    controls: tuple[str, ...] = field(default=())
    missing: str = ""

    def lacking(self, target: TargetInfo, task: Task) -> str | None:
        """Why the attack cannot run on this target, or None if it can."""
        if self.missing:
            return f"{self.id} is not ready: {self.missing}"
        if task not in self.tasks:
            return f"{self.id} does not attack the task {task!r}"
        if self.needs and not self.needs & target.honours:
            wanted = " or ".join(sorted(self.needs))
            return f"the target does not read {wanted}, which {self.id} edits"
        if missing := sorted(self.sees - target.reveals):
            return f"the target does not reveal {', '.join(missing)}, which {self.id} needs"
        return None
