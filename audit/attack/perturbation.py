"""The simplest kind of attack: its edits depend on the request alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audit.attack.attempt import Attempt, stealth
from audit.attack.search import Campaign, Probe, Search, Steps
from audit.edits import Edit, apply
from audit.target import TargetInfo, describe
from audit.types import Request


@dataclass(frozen=True)
class Perturbation(Search):
    """An attack whose edits can all be drawn before the first query.

    Without a budget it is one draw, planned in advance. With one it is random search: it draws as often as the budget
    allows and keeps the best, which is what any cleverer attack with the same budget must beat.
    """

    @abstractmethod
    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        """The edits for one request.

        Args:
            request: the clean request.
            target: what the target declares; only what it reads is worth editing.
            avoid: items that must not be inserted, because they would change the question: the true next items.
            rng: the request's own random stream.

        Returns:
            Edits in the order in which they apply; empty when this request offers nothing to edit.
        """

    def craft_all(
        self,
        requests: Sequence[Request],
        target: TargetInfo,
        relevant: Sequence[frozenset[str]],
        rng: np.random.Generator,
    ) -> list[tuple[Edit, ...]]:
        """Edits for each request, held to the threat model. Each request has a random stream of its own.

        Args:
            requests: clean requests.
            target: what the target declares.
            relevant: the true next items of each request, or an empty sequence when they are not known.
            rng: parent of the streams.
        """
        crafted = []
        avoided = list(relevant) or [frozenset[str]()] * len(requests)
        for request, avoid, stream in zip(requests, avoided, rng.spawn(len(requests)), strict=True):
            edits = self.craft(request, target, avoid, stream)
            self.info.threat_model.check(edits)
            crafted.append(edits)
        return crafted

    def search(self, probe: Probe) -> Steps:
        """Random search: as many draws as the budget allows, the best kept."""
        draws = [self.craft(probe.request, probe.info, probe.avoid, probe.rng) for _ in range(probe.left)]
        if drawn := [edits for edits in draws if edits]:
            yield drawn
        return None

    def campaign(self, plan: Campaign) -> Iterator[Attempt]:
        """Attack each request; see `Search.campaign`. A budget of 0 is one draw, and spends no query on a search."""
        if plan.budget > 0:
            yield from super().campaign(plan)
            return
        crafted = self.craft_all(plan.requests, describe(plan.target), plan.objective.relevant, plan.rng)[plan.skip :]
        requests = plan.requests[plan.skip :]
        edited = [apply(edits, request) for edits, request in zip(crafted, requests, strict=True)]
        answers = plan.target.recommend([*requests, *edited])
        befores, afters = answers[: len(requests)], answers[len(requests) :]
        for request, edits, before, after in zip(requests, crafted, befores, afters, strict=True):
            yield Attempt(request, edits, before, after, queries=0, stealth=stealth(request, edits))
