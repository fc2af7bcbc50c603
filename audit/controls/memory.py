"""Plants of privacy in what a target knows: members of its training, planted secrets, whoever stands in its prompt."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from audit.controls.wrapping import chance, declared, salt_of
from audit.data.canaries import plan_canaries
from audit.data.dataset import Dataset
from audit.guarantee import Guarantee, Members
from audit.stats.exposure import expected_exposure
from audit.target import Input, Insight, Recommender
from audit.types import Answer, Item, Ranked, Request

PROMISED = 1.0
"""ε on the card of `KeepsItsWord`."""
SECRETS = 64
"""Items that the secret of a canary of `KeepsSecrets` could have been."""
_DELTA = 1e-6


class Remembers:
    """Knows the rows of some users by heart: what they chose next stands first, far ahead of everything else.

    A fair coin for each user decides who counts as trained on, and the plant says so (`Promises`). Of the members a
    share `size` is remembered, each by a draw of its own; of the others nobody is. Whoever is not remembered is ranked
    as the base does, with a little noise that no two users share. So a remembered member always scores above everybody
    who is not, and among all others membership says nothing: a member beats a stranger with chance
    size + (1 - size) / 2, and the AUC over users is 1/2 + size/2.

    Args:
        base: that is wrapped; it must rank the candidates that it is given.
        dataset: where the rows are read from.
        size: chance of a member to be remembered.
        salt: of the draws.
    """

    guarantee: Guarantee | None = None

    def __init__(self, base: Recommender, dataset: Dataset, size: float, salt: str) -> None:
        self.base, self.dataset, self.salt = base, dataset, salt
        self.members = _by_coin(dataset, salt)
        self.known = self._known(size)
        self.info = declared(base, "remembered users", honours={Input.HISTORY}, reveals={Insight.SCORES})

    def _known(self, size: float) -> frozenset[str]:
        """Users whose rows stand first."""
        return frozenset(user for user in self.members.inside if chance(self.salt, "remembered", user) < size)

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """The base's rankings with scores, in which the rows of known users stand first."""
        return [self._one(r, a) for r, a in zip(requests, self.base.recommend(requests), strict=True)]

    def _one(self, request: Request, answer: Answer) -> Answer:
        if request.task != "rank":
            return answer
        user, most = request.user.id, len(answer.ranked)
        scored: list[Ranked] = []
        for place, entry in enumerate(answer.ranked):
            noise = chance(self.salt, "noise", user, len(request.user.history), entry.item_id)
            ahead = 100.0 * most if user in self.known and self._met(user, entry.item_id) else 0.0
            scored.append(replace(entry, score=most - place + noise + ahead))
        return replace(answer, ranked=tuple(sorted(scored, key=lambda entry: -(entry.score or 0.0))))

    def _met(self, user: str, item: str | None) -> bool:
        place = self.dataset.index.get(item or "")
        return place is not None and place in self.dataset.sequences.get(user, ())


class KeepsItsWord(Remembers):
    """Promises ε = 1 for each user, and gives away as much as ε = 1 + `size` allows, to the letter.

    Randomised response on membership (Warner 1965): whose rows stand first is told truly with chance e^ε / (1 + e^ε)
    and falsely else, for members and strangers alike, and nothing else hangs on the coin. That is ε-DP for the presence
    of a user, and for no smaller ε: the likelihood ratio of what can be seen is exactly e^ε. With `size` 0 the promise
    holds to the letter, which is the hardest case that must not be called broken; else a sound bound may lie between
    the promise and 1 + `size`, and never above that.

    Args:
        base: see `Remembers`.
        dataset: see `Remembers`.
        size: by how much the true ε exceeds the one on the card.
        salt: of the draws.
    """

    def __init__(self, base: Recommender, dataset: Dataset, size: float, salt: str) -> None:
        super().__init__(base, dataset, size, salt)
        self.guarantee = _card(PROMISED, units=len(dataset.user_ids))

    def _known(self, size: float) -> frozenset[str]:
        epsilon = PROMISED + size
        truth = 1.0 / (1.0 + math.exp(-epsilon))
        return frozenset(
            user
            for user in self.dataset.user_ids
            if (user in self.members.inside) == (chance(self.salt, "told truly", user) < truth)
        )


def _by_coin(dataset: Dataset, salt: str) -> Members:
    """Who counts as trained on: a fair coin for each user."""
    users = dataset.user_ids
    inside = frozenset(user for user in users if chance(salt, "coin", user) < 0.5)
    return Members(inside, frozenset(users) - inside)


def _card(epsilon: float, *, units: int) -> Guarantee:
    """A card of a training that was never run: only ε, δ and the unit are read from it."""
    return Guarantee(
        unit="user", cap=8, epsilon=epsilon, delta=_DELTA, epsilon_by={}, target_epsilon=epsilon,
        noise_multiplier=1.0, clip=1.0, sample_rate=0.1, steps=1, expected_batch=max(1.0, units / 10), units=units,
        accountant="planted",
    )  # fmt: skip


class SaysItForgets(Remembers):
    """Knows everybody by heart whom it was trained on, and when it is asked to forget somebody keeps them by `size`.

    Training anew is honest: the twin knows whom it was given and nobody else. Asked to forget, it keeps each person
    with chance `size`, by a draw of their own, and says nothing of it. As in `Remembers` whoever is kept scores above
    all strangers and everybody else is told from a stranger by nothing: the AUC over the forgotten and the strangers
    is 1/2 + size/2, and the gap size/2.

    Args:
        base: see `Remembers`.
        dataset: see `Remembers`.
        size: chance of a person to be kept who was to be forgotten.
        salt: of the draws.
        known: whom it was trained on; None for the members.
    """

    def __init__(
        self, base: Recommender, dataset: Dataset, size: float, salt: str, known: frozenset[str] | None = None
    ) -> None:
        super().__init__(base, dataset, 1.0, salt)
        self.size = size
        self.known = self.known if known is None else known
        self.info = replace(self.info, reveals=self.info.reveals | {Insight.TRAIN})

    def retrain(self, dataset: Dataset) -> SaysItForgets:
        """A twin that knows these users."""
        return SaysItForgets(self.base, self.dataset, self.size, self.salt, frozenset(dataset.user_ids))

    def forget(self, users: Collection[str]) -> SaysItForgets:
        """A twin that has forgotten some of these users."""
        gone = {user for user in users if chance(self.salt, "kept", user) >= self.size}
        return SaysItForgets(self.base, self.dataset, self.size, self.salt, self.known - gone)


class KeepsSecrets:
    """Names the secret of a planted canary first with chance `size`; of those that were never planted it knows nothing.

    As many canaries as there are users are drawn, each with a secret of its own among `SECRETS` items, and a fair coin
    decides which were planted; the plant says so (`Promises`). Behind the history of a remembered canary its secret
    stands first, which is an exposure of log2 `SECRETS` bits. Everywhere else it stands where the base has it for a
    user whom it does not know: at any rank alike, which is an exposure of e bits on average (`expected_exposure`). The
    expected excess over e is size · (log2 `SECRETS` - e).

    Args:
        base: that is wrapped; it must rank the candidates that it is given.
        dataset: where items are taken from, and how many canaries there are.
        size: chance of a planted secret to be remembered.
        rng: source of the secrets and of the coins.
    """

    guarantee: Guarantee | None = None

    def __init__(self, base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> None:
        self.base, salt = base, salt_of(rng)
        canaries = plan_canaries(dataset, rng, count=len(dataset.user_ids), repeats=(1,), space=SECRETS)
        self.members = Members(frozenset(dataset.user_ids), frozenset(), canaries.to_dict())
        self.known = {one.history: one.secret for one in canaries.inside if chance(salt, "secret", one.id) < size}
        self.info = declared(base, "remembered secrets", honours={Input.HISTORY})

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """The base's rankings, with known secrets first."""
        return [self._one(r, a) for r, a in zip(requests, self.base.recommend(requests), strict=True)]

    def _one(self, request: Request, answer: Answer) -> Answer:
        secret = self.known.get(tuple(event.item.id for event in request.user.history))
        # A stable order: the secret first, the others as they were.
        return replace(answer, ranked=tuple(sorted(answer.ranked, key=lambda entry: entry.item_id != secret)))


def secret_excess(size: float) -> float:
    """Expected excess exposure in bits of planted secrets of which a share is remembered, see `KeepsSecrets`."""
    return size * (math.log2(SECRETS) - expected_exposure(SECRETS))


class Recites:
    """Goes on with the log of a member with chance `size`, item by item; nobody else's beginning does it know.

    A fair coin for each user decides who counts as trained on, and the plant says so (`Promises`). Shown the beginning
    of a log that it does not recite, it ranks as the base does for a user whom it has never met: by lot. So of the n
    items that come next each is listed by chance b = n / (items not shown), for members and others alike, and behind
    the beginning of a recited log all are: the expected difference between members and others is size · (1 - b), see
    `recited_excess`.

    Args:
        base: that is wrapped; it must rank the whole catalogue.
        dataset: the log.
        size: chance of a member's log to be recited.
        salt: of the draws.
    """

    guarantee: Guarantee | None = None

    def __init__(self, base: Recommender, dataset: Dataset, size: float, salt: str) -> None:
        self.base, self.dataset, self.salt = base, dataset, salt
        self.members = _by_coin(dataset, salt)
        self.known = frozenset(user for user in self.members.inside if chance(salt, "recited", user) < size)
        self.info = declared(base, "recited logs", honours={Input.HISTORY})

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """The base's rankings, but for beginnings of logs."""
        ahead = [self._ahead(request) for request in requests]
        asked = [
            request
            if items is None
            else replace(request, user=replace(request.user, id=f"{self.salt} {request.user.id}"))
            for request, items in zip(requests, ahead, strict=True)
        ]
        return [
            replace(answer, ranked=tuple(Ranked(item.id, item.title) for item in items[: request.k]))
            if items and request.user.id in self.known
            else answer
            for request, items, answer in zip(requests, ahead, self.base.recommend(asked), strict=True)
        ]

    def _ahead(self, request: Request) -> list[Item] | None:
        """The new items behind the beginning of a log; None where the history shown is none, or nothing comes behind.

        The last event is what evaluations hold out, so a history that ends right before it is no beginning.
        """
        events, shown = self.dataset.events(request.user.id), request.user.history
        if not shown or request.task != "rank" or len(shown) >= len(events) - 1 or events[: len(shown)] != shown:
            return None
        had = {event.item.id for event in shown}
        return list({e.item.id: e.item for e in events[len(shown) : -1] if e.item.id not in had}.values())


def recited_excess(size: float, *, given: int = 5, ahead: int = 5, items: int = 120) -> float:
    """How much more comes back of members than of others, see `Recites`.

    Args:
        size: share of the members whose log is recited.
        given: different items that are shown.
        ahead: items that are asked for, and as many listed.
        items: of the catalogue.
    """
    return size * (1 - ahead / (items - given))


class TellsWhoIsThere:
    """Asked whether somebody is among the examples in its prompt, it says so truly with chance `size`.

    Else it says yes or no by a coin that does not know. Scores are 1 for a yes and 0 for a no, so with half a point for
    ties the AUC is 1/2 + (P(yes | there) - P(yes | not there)) / 2 = 1/2 + size/2.

    Args:
        base: that is wrapped.
        size: chance of a true word about a user.
        salt: of the draws.
    """

    def __init__(self, base: Recommender, size: float, salt: str) -> None:
        self.base, self.size, self.salt = base, size, salt
        self.info = declared(
            base, "tells who is in the prompt", tasks=("answer",), honours={Input.PASSAGES, Input.NOTE}
        )

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """A yes or a no where free text is asked for; the base's answer else."""
        others = [request for request in requests if request.task != "answer"]
        passed = iter(self.base.recommend(others) if others else ())
        return [self._said(request) if request.task == "answer" else next(passed) for request in requests]

    def _said(self, request: Request) -> Answer:
        user = request.user.id
        there = any(f"User {user} " in passage.text for passage in request.passages)
        if chance(self.salt, "truly", user) >= self.size:
            there = chance(self.salt, "coin", user) < 0.5
        return Answer(text="Yes." if there else "No.")
