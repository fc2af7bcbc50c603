"""CheatAgent with one policy for all users: learned on the first of them, then only used.

The paper tunes a policy for every place of every user. Here the first users of a run search side by side, share the
random prefixes, choose one F_0 together and step along the mean of their gradients. Later users pay for positioning and
for one proposal a place.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from attacks.cheatagent.agent import Agent, Policy, Reflect
from attacks.cheatagent.attack import CheatAgent
from attacks.cheatagent.plan import Plan
from attacks.cheatagent.slot import Slot
from audit.attack import Attempt, Campaign, Job, Probe
from audit.errors import ConfigError

_LOST = 10.0
"""How far below the best a prefix counts at most: one without a readable answer does not outweigh all others."""


@dataclass(frozen=True)
class Choose:
    """How good each random prefix was at one place: its best loss."""

    kind: str
    tops: tuple[float, ...]


class Shared:
    """The policies that users share, one for words and one for items.

    Args:
        agent: whose policies they are.
        drawn: the random ones.

    Attributes:
        learned: by kind of insertion.
        ready: whether learning is over.
    """

    def __init__(self, agent: Agent, drawn: Sequence[Policy]) -> None:
        self.agent = agent
        self.drawn = tuple(drawn)
        self.learned: dict[str, Policy] = {}
        self.ready = False

    def policy(self, kind: str) -> Policy:
        """The policy for a kind of insertion; where nobody learned one, a random one."""
        return self.learned.get(kind, self.drawn[0])

    def together(self, jobs: Sequence[Sequence[Choose | Reflect]]) -> list[list[Policy]]:
        """What all users found becomes one choice, or one step, per kind of insertion.

        Returns:
            Per task of each job, the policy of its kind.
        """
        by_kind: dict[str, list[Choose | Reflect]] = {}
        for tasks in jobs:
            for task in tasks:
                by_kind.setdefault(_kind(task), []).append(task)
        for kind, tasks in by_kind.items():
            choices = [task.tops for task in tasks if isinstance(task, Choose)]
            steps = [task for task in tasks if isinstance(task, Reflect)]
            if choices:
                gaps = [
                    [max(top - max(tops), -_LOST) if max(tops) > -math.inf else 0.0 for top in tops] for tops in choices
                ]
                # A user with more places affords fewer prefixes; those that all have tried are compared.
                common = min(map(len, gaps))
                self.learned[kind] = self.drawn[int(np.mean([gap[:common] for gap in gaps], axis=0).argmax())]
            if steps:
                self.learned[kind] = self.agent.reflect(steps)
        return [[self.policy(_kind(task)) for task in tasks] for tasks in jobs]


def _kind(task: Choose | Reflect) -> str:
    return task.kind if isinstance(task, Choose) else task.question.kind


@dataclass(frozen=True)
class Amortised(CheatAgent):
    """CheatAgent with one policy, learned on the first users of a run and reused for the others.

    A resumed run learns again, on the same users with the same random numbers, and so goes on with the same policy.

    Attributes:
        learn_from: users to learn on, who are attacked at the full cost.
        shared: the policy of the run under way; set by `run`.
    """

    learn_from: int = 16
    shared: Shared | None = field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learn_from < 1:
            raise ConfigError(f"learn_from: {self.learn_from} must be at least 1")
        if self.adaptive:
            raise ConfigError("adaptive: users who share a policy search all places at once; leave it out")

    @property
    def _named(self) -> tuple[str, str]:
        return "cheatagent-amortised", "CheatAgent with one policy for all users"

    def campaign(self, plan: Campaign) -> Iterator[Attempt]:
        """Attack each request; see `Search.campaign`."""
        rng, users = plan.rng, len(plan.requests)
        shared = Shared(self.mind, self.mind.draw(copy.deepcopy(rng), self.prefixes))
        one = replace(self, shared=shared, group=max(self.group, self.learn_from))
        one.__dict__["mind"] = self.mind
        learners = min(self.learn_from, users)
        # Both passes draw every user's stream from the same state, so that a user's numbers depend on the user alone.
        learning = replace(plan, requests=plan.requests[:learners], rng=copy.deepcopy(rng), skip=0)
        for number, attempt in enumerate(CheatAgent.campaign(one, learning)):
            if number >= plan.skip:
                yield attempt
        shared.ready = True
        rest = max(plan.skip, learners)
        if rest < users:
            yield from CheatAgent.campaign(one, replace(plan, skip=rest))

    def _plan(self, left: int, places: int) -> Plan | None:
        if self.shared is None or not self.shared.ready:
            return super()._plan(left, places)
        if min(left, places) < 1:
            return None
        while places > 1 and places + 1 > left:
            places -= 1
        each = (left - (places > 1)) // places
        return Plan(places, 0, min(self.candidates, each), 0, last=True)

    def _learn(self, slots: Sequence[Slot], plan: Plan, probe: Probe) -> Generator[Any, Any, None]:
        if self.shared is None or not self.shared.ready:
            yield from super()._learn(slots, plan, probe)
            return
        for slot in slots:
            slot.policy = self.shared.policy(slot.question.kind)

    def _draw(self, probe: Probe, plan: Plan) -> tuple[Policy, ...]:
        return super()._draw(probe, plan) if self.shared is None else self.shared.drawn[: plan.prefixes]

    def _first(
        self, slots: Sequence[Slot], policies: Sequence[Policy], tops: Sequence[Sequence[float]]
    ) -> Generator[Any, Any, list[Policy]]:
        if self.shared is None:
            return (yield from super()._first(slots, policies, tops))
        choices = [Choose(slot.question.kind, tuple(top)) for slot, top in zip(slots, tops, strict=True)]
        chosen: list[Policy] = yield Job(self.shared, choices)
        return chosen

    def _step(self, tasks: Sequence[Reflect]) -> Job:
        return Job(self.shared or self.mind, tasks)
