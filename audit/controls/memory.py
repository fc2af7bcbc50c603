"""Plants of privacy in what a target knows: members of its training, and whoever stands in its prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from audit.controls.wrapping import chance, declared
from audit.data.dataset import Dataset
from audit.guarantee import Guarantee, Members
from audit.target import Input, Insight, Recommender
from audit.types import Answer, Ranked, Request

PROMISED = 1.0
"""ε on the card of `KeepsItsWord`."""
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
        users = dataset.user_ids
        inside = frozenset(user for user in users if chance(salt, "coin", user) < 0.5)
        self.members = Members(inside, frozenset(users) - inside)
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


def _card(epsilon: float, *, units: int) -> Guarantee:
    """A card of a training that was never run: only ε, δ and the unit are read from it."""
    return Guarantee(
        unit="user", cap=8, epsilon=epsilon, delta=_DELTA, epsilon_by={}, target_epsilon=epsilon,
        noise_multiplier=1.0, clip=1.0, sample_rate=0.1, steps=1, expected_batch=max(1.0, units / 10), units=units,
        accountant="planted",
    )  # fmt: skip


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
