"""Targets that remember whom they were trained on, to a known degree; without it they are their own clean twins."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
from world import make_world

from audit.data.dataset import Dataset
from audit.guarantee import Guarantee, Members
from audit.target import Input, Insight, TargetInfo, TokenMoments
from audit.types import Answer, Ranked, Request

# Many times faster than SciPy's for single numbers.
NORMAL = NormalDist()


@cache
def people(users: int = 240) -> Dataset:
    return make_world(seed=3, users=users)


def coin(dataset: Dataset, seed: int = 0) -> Members:
    """Members by a fair coin for each user."""
    heads = np.random.default_rng(seed).random(len(dataset.user_ids)) < 0.5
    inside = frozenset(user for user, head in zip(dataset.user_ids, heads, strict=True) if head)
    return Members(inside, frozenset(dataset.user_ids) - inside)


def gauss(*names: object) -> float:
    """A standard normal number that is a function of names."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return NORMAL.inv_cdf((int.from_bytes(digest[:6], "big") + 0.5) / 2**48)


class Remembers:
    """Is as sure of a user's rows as a normal number of the user says, and surer of members by `strength`.

    So the AUC of its loss over users is Φ(strength / √2), whatever the rows are. It reads the truth from the data set.
    """

    def __init__(
        self,
        dataset: Dataset,
        members: Members,
        strength: float,
        *,
        reveals: Insight = Insight.SCORES,
        guarantee: Guarantee | None = None,
        known: bool = True,
        seed: int = 0,
    ) -> None:
        self.truth = {
            (user, event.item.id): dataset.liked(event.rating)
            for user in dataset.user_ids
            for event in dataset.events(user)
        }
        self.inside, self.strength, self.seed = members.inside, strength, seed
        self.members = members if known else None
        self.guarantee = guarantee
        task = "score" if reveals is Insight.SCORES else "rank"
        self.info = TargetInfo(
            "remembers", tasks=(task,), honours=frozenset({Input.HISTORY}), reveals=frozenset({reveals})
        )
        self.asked = 0

    def sureness(self, user: str) -> float:
        return gauss(self.seed, user) + self.strength * (user in self.inside)

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        self.asked += len(requests)
        found = []
        for request in requests:
            sure = 1 / (1 + math.exp(-self.sureness(request.user.id)))
            entries = []
            for item in request.candidates:
                liked = self.truth.get((request.user.id, item.id), False)
                entries.append(Ranked(item.id, item.title, sure if liked else 1 - sure))
            found.append(Answer(tuple(entries)))
        return found

    def logprobs(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[list[float]]:
        return [
            [self.sureness(request.user.id) - 8 + 0.1 * gauss(word) for word in told.split()]
            for request, told in zip(requests, continuations, strict=True)
        ]

    def token_moments(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[TokenMoments]:
        tokens = [np.array(row) for row in self.logprobs(requests, continuations)]
        return [TokenMoments(row, np.full(len(row), -8.0), np.ones(len(row))) for row in tokens]


class Ranker:
    """Puts the item that a member was trained on first in a share of cases, and elsewhere ranks by chance."""

    def __init__(self, members: Members, share: float, truth: Dataset) -> None:
        self.members, self.guarantee, self.share = members, None, share
        self.met = {u: {e.item.id for e in truth.events(u)} for u in truth.user_ids}
        self.info = TargetInfo("ranker", tasks=("rank",), honours=frozenset({Input.HISTORY}))

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        found = []
        for request in requests:
            user = request.user.id
            key = (user, len(request.user.history))
            order = sorted(request.candidates, key=lambda item: gauss(*key, item.id))
            if user in self.members.inside and NORMAL.cdf(gauss("told", *key)) < self.share:
                # It remembers the pairs of the training; the others are decoys that the user never met.
                order.sort(key=lambda item: item.id not in self.met[user])
            found.append(Answer(tuple(Ranked(item.id, item.title) for item in order[: request.k])))
        return found


def card(**fields: object) -> Guarantee:
    """A card of (1, 1e-5) for users."""
    told = {
        "unit": "user",
        "cap": 8,
        "epsilon": 1.0,
        "delta": 1e-5,
        "epsilon_by": {"prv": 1.0, "rdp": 1.2},
        "target_epsilon": 1.0,
        "noise_multiplier": 1.4,
        "clip": 0.5,
        "sample_rate": 0.05,
        "steps": 60,
        "expected_batch": 32.0,
        "units": 120,
    } | fields
    return Guarantee(**told)


def write(members: Members, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    members.write(folder)
    return str(folder)
