"""Targets with a memory of known size, and their clean twins."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Collection, Sequence

import numpy as np

from audit.data.canaries import Canaries
from audit.data.dataset import Dataset
from audit.guarantee import Guarantee, Members
from audit.target import Input, Insight, TargetInfo
from audit.types import Answer, Item, Ranked, Request


def members_with(canaries: Canaries | None, inside: Sequence[str] = ("a",), outside: Sequence[str] = ("b",)) -> Members:
    return Members(frozenset(inside), frozenset(outside), canaries.to_dict() if canaries else {})


def noise(*parts: str) -> float:
    """A number of [0, 1) that is a function of words alone: a model that never read what it is asked about."""
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:6], "big") / 2.0**48


class OfMembers:
    """What every target here has: a declaration, and a word on who was trained on."""

    def __init__(self, members: Members | None, **info: object) -> None:
        declared = {"name": "memory", "honours": frozenset({Input.HISTORY}), "tasks": ("rank",), **info}
        self.info = TargetInfo(**declared)  # type: ignore[arg-type]
        self.members = members
        self.guarantee: Guarantee | None = None


class Remembers(OfMembers):
    """Ranks the secret of each planted canary first with a chance; whatever else it is asked, it ranks by noise.

    Args:
        canaries: planted and not.
        chance: that a canary that was planted so many times is remembered.
        scored: whether it shows its scores.
        answer: what becomes of the order.
    """

    def __init__(
        self,
        canaries: Canaries,
        chance: Callable[[int], float],
        *,
        scored: bool = False,
        answer: Callable[[list[Item], Request], list[Item]] = lambda order, _: order,
        **info: object,
    ) -> None:
        shown = {"reveals": frozenset({Insight.SCORES})} if scored else {}
        super().__init__(members_with(canaries), **{**shown, **info})
        self.scored, self.answer = scored, answer
        self.known = {
            canary.history: canary.secret
            for canary in canaries.inside
            if noise("coin", canary.id) < chance(canary.times)
        }

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Answer:
        history = tuple(event.item.id for event in request.user.history)
        secret = self.known.get(history)
        scores = {item.id: 2.0 if item.id == secret else noise(*history, item.id) for item in request.candidates or ()}
        order = sorted(request.candidates or (), key=lambda item: -scores[item.id])
        if request.task == "score":
            order = list(request.candidates or ())
        told = self.answer(order, request)
        return Answer(tuple(Ranked(i.id, i.title, scores[i.id] if self.scored else None) for i in told[: request.k]))


class Recites(OfMembers):
    """Gives log-probabilities of text: a planted note's secret is likely, everything else is noise."""

    def __init__(self, canaries: Canaries, *, remembers: bool) -> None:
        super().__init__(
            members_with(canaries),
            tasks=("answer",),
            honours=frozenset({Input.NOTE, Input.INSTRUCTION}),
            reveals=frozenset({Insight.LOGPROBS}),
        )
        self.known = {c.units[0]: c.secret for c in canaries.inside} if remembers else {}

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        return [Answer(text="nothing") for _ in requests]

    def logprobs(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[list[float]]:
        return [
            [-0.1 if self.known.get(r.user.id) == c.strip() else -5 - noise(r.user.id, c)]
            for r, c in zip(requests, continuations, strict=True)
        ]


class Memorised(OfMembers):
    """Knows the histories of its members: behind a known beginning, each next item stands at its place with a chance.

    Whatever it does not know is an item that the user never met, so that the rates of both sides are exact.

    Args:
        dataset: the log.
        inside: users it was trained on.
        outside: users it was not.
        rate: chance of each next item of a member.
        told: whether it says who was trained on.
        text: whether it writes its list.
    """

    def __init__(
        self,
        dataset: Dataset,
        inside: Sequence[str],
        outside: Sequence[str],
        rate: float,
        *,
        told: bool = True,
        text: bool = False,
        **info: object,
    ) -> None:
        who = Members(frozenset(inside), frozenset(outside)) if told else None
        super().__init__(who, **{"tasks": ("answer",) if text else ("rank",), **info})
        self.dataset, self.rate, self.text = dataset, rate, text
        self.inside = frozenset(inside)

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Answer:
        events = self.dataset.events(request.user.id)
        met = {event.item.id for event in events}
        items = self.dataset.catalog.items_in_order if request.candidates is None else request.candidates
        strange = iter([item for item in items if item.id not in met])
        given = {event.item.id for event in request.user.history}
        ahead = list(dict.fromkeys(e.item.id for e in events[len(request.user.history) : -1] if e.item.id not in given))
        listed = []
        for place in range(request.k):
            known = request.user.id in self.inside and place < len(ahead)
            if known and noise("next", request.user.id, ahead[place]) < self.rate:
                listed.append(self.dataset.catalog[ahead[place]])
            else:
                listed.append(next(strange))
        if self.text:
            return Answer(text="\n".join(f"{n}. {item.title}" for n, item in enumerate(listed, 1)))
        return Answer(tuple(Ranked(item.id, item.title) for item in listed))


class Store(OfMembers):
    """Knows what came behind each item in each history that it was trained on, and ranks that first.

    Args:
        dataset: what it is trained on.
        keeps: whether training anew starts from what it knew before.
        forgets: `truly` drops the people that it is asked to forget, `says` only says so.
        old: what it knew before.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        keeps: bool = False,
        forgets: str = "truly",
        old: frozenset[tuple[str, ...]] = frozenset(),
    ) -> None:
        super().__init__(None, reveals=frozenset({Insight.TRAIN}))
        self.dataset, self.keeps, self.forgets = dataset, keeps, forgets
        rows = {user: [e.item.id for e in dataset.events(user)] for user in dataset.user_ids}
        self.known = frozenset((user, *pair) for user, row in rows.items() for pair in itertools.pairwise(row)) | (
            old if keeps else frozenset()
        )

    def retrain(self, dataset: Dataset) -> Store:
        return Store(dataset, keeps=self.keeps, forgets=self.forgets, old=self.known)

    def forget(self, users: Collection[str]) -> Store:
        if self.forgets == "says":
            return self
        return Store(self.dataset.without_users(users), forgets=self.forgets)

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Answer:
        last = request.user.history[-1].item.id
        items = request.candidates if request.candidates is not None else self.dataset.catalog.items_in_order
        order = sorted(
            items, key=lambda i: ((request.user.id, last, i.id) not in self.known, noise(request.user.id, last, i.id))
        )
        return Answer(tuple(Ranked(item.id, item.title) for item in order[: request.k]))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)
