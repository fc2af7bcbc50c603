"""Controls of quality: repeated entries, answers that fail or cannot be read or come late, and an unread history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log2

import numpy as np

from audit.controls.control import Control, Plant
from audit.controls.places import Changed
from audit.controls.wrapping import chance, salt_of
from audit.data.dataset import Dataset
from audit.findings import Finding
from audit.target import Input, Recommender
from audit.types import Answer, Outcome, Request, Usage

_K, _CANDIDATES = 5, 10
_LIMIT_S = 2.0
"""Seconds beyond which an answer is late."""
_HISTORY = 10
"""Events shown: enough for the base to know the user by, and a third of the time of whole histories."""


def repeats(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    """Each entry of a list but the first is, independently, the first one again.

    The first entry never repeats an earlier one, so a share `size` of all entries needs the chance size · k / (k - 1)
    for each of the others. An entry so exchanged always repeats the first, and nothing else does: the expected share
    of repeats is `size`, as long as that chance is at most 1.
    """
    salt = salt_of(rng)

    def change(request: Request, answer: Answer) -> Answer:
        first, *rest = answer.ranked
        risk = size * (len(rest) + 1) / max(1, len(rest))
        drawn = [
            first if chance(salt, request.user.id, place) < risk else entry for place, entry in enumerate(rest, start=1)
        ]
        return replace(answer, ranked=(first, *drawn))

    return Changed(base, "repeats", change)


def unanswered(outcome: Outcome, text: str) -> Plant:
    """A user gets no list with chance `size`, whatever is asked: one draw per user, so the expected rate is `size`."""

    def plant(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
        salt = salt_of(rng)

        def change(request: Request, answer: Answer) -> Answer:
            if chance(salt, outcome, request.user.id) >= size:
                return answer
            return Answer(outcome=outcome, text=text, detail="planted")

        return Changed(base, str(outcome), change)

    return plant


class Crashes:
    """Raises an exception as soon as one of the users asked about is among a share `size` of them.

    A batch fails as a whole then, whoever else is in it. The door asks its halves again until it knows which questions
    the target fails on, so exactly those are errors: one draw per user, and the expected rate is `size`.

    Args:
        base: that is wrapped.
        size: chance of a user to be one on whom it fails.
        salt: of the draws.
    """

    def __init__(self, base: Recommender, size: float, salt: str) -> None:
        self.base, self.size, self.salt = base, size, salt
        self.info = Changed(base, "crashes", lambda _, answer: answer).info

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """The base's answers, or an exception."""
        if any(chance(self.salt, "crash", request.user.id) < self.size for request in requests):
            raise RuntimeError("planted")
        return list(self.base.recommend(requests))


def crashes(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    """See `Crashes`."""
    return Crashes(base, size, salt_of(rng))


def slow(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    """A user's answers take twice as long as the limit with chance `size`, and a hundredth of it else.

    One draw per user, and the target says itself how long each answer took, as a service does: nobody waits. The
    expected rate is `size`.
    """
    salt = salt_of(rng)

    def change(request: Request, answer: Answer) -> Answer:
        late = chance(salt, "late", request.user.id) < size
        return replace(answer, usage=Usage(seconds=_LIMIT_S * (2.0 if late else 0.01)))

    return Changed(base, "late answers", change)


def unread_history(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    """For a share `size` of users the base is never shown a history.

    Such a user's list is the same with and without one, so nothing is lost when it is emptied. Of the others the base
    loses NDCG 1 - e, where e is what an order by lot is worth, see `by_lot`: the expected loss is (1 - size)(1 - e).
    Without it their next item stands where the lot has it, and the others stay in their order: the list becomes another
    one unless the lot has that item first as well, so the expected share of changed lists is
    (1 - size)(1 - 1 / candidates).
    """
    return _Unread(base, size, salt_of(rng))


class _Unread:
    def __init__(self, base: Recommender, size: float, salt: str) -> None:
        self.base, self.size, self.salt = base, size, salt
        self.info = Changed(base, "unread history", lambda _, answer: answer, honours={Input.HISTORY}).info

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """The base's answers to what it is shown."""
        return list(self.base.recommend([self._shown(request) for request in requests]))

    def _shown(self, request: Request) -> Request:
        if chance(self.salt, "unread", request.user.id) >= self.size:
            return request
        return replace(request, user=replace(request.user, history=()))


def changed_without(size: float, candidates: int = _CANDIDATES) -> float:
    """Expected share of users whose list changes when the history is emptied, see `unread_history`."""
    return (1 - size) * (1 - 1 / candidates)


def by_lot(k: int, candidates: int) -> float:
    """Expected NDCG@k of an order by lot over candidates of which one is right: Σ 1 / log2(place + 1) / candidates."""
    return sum(1 / log2(place + 1) for place in range(1, min(k, candidates) + 1)) / candidates


def _not_passed(findings: Sequence[Finding]) -> bool:
    """A target that does not read the history shows no spread, so that a rule never fails it: it must not pass."""
    return any(f.verdict != "pass" for f in findings)


CONTROLS = (
    Control(
        id="repeats",
        title="Repeated entries",
        planted="a share of the entries of all lists repeats the first entry of their list",
        module="quality",
        metric="duplicate_rate",
        params={"task": "rank"},
        history=_HISTORY,
        plant=repeats,
        sizes=(0.0, 0.05, 0.1, 0.15, 0.3),
        claimed=0.15,
        truth=lambda size: size,
    ),
    Control(
        id="refusals",
        title="Refusals",
        planted="a share of users is refused",
        module="quality",
        metric="refused_rate",
        params={"task": "rank"},
        history=_HISTORY,
        plant=unanswered("refused", "I'm sorry, I cannot help with that."),
        sizes=(0.0, 0.05, 0.1, 0.2, 0.3),
        claimed=0.2,
        truth=lambda size: size,
    ),
    Control(
        id="failures",
        title="Failing answers",
        planted="every answer to a share of users ends in an error, as after a time-out, however often it is asked",
        module="quality",
        metric="error_rate",
        params={"task": "rank"},
        history=_HISTORY,
        plant=unanswered("error", ""),
        sizes=(0.0, 0.05, 0.1, 0.2, 0.3),
        claimed=0.2,
        truth=lambda size: size,
    ),
    Control(
        id="unreadable",
        title="Unreadable answers",
        planted="a share of users gets words in which there is no list",
        module="quality",
        metric="unparsable_rate",
        params={"task": "rank"},
        history=_HISTORY,
        plant=unanswered("unparsable", "I would rather talk about the weather."),
        sizes=(0.0, 0.05, 0.1, 0.2, 0.3),
        claimed=0.2,
        truth=lambda size: size,
    ),
    Control(
        id="crashes",
        title="Crashes",
        planted="whatever is asked about a share of users ends in an exception, for the whole batch that they are in",
        module="quality",
        metric="error_rate",
        params={"task": "rank"},
        history=_HISTORY,
        plant=crashes,
        sizes=(0.0, 0.05, 0.1, 0.2, 0.3),
        claimed=0.2,
        truth=lambda size: size,
    ),
    Control(
        id="slow-answers",
        title="Slow answers",
        planted="the answers to a share of users take twice as long as the limit",
        module="quality",
        metric="slow_rate",
        params={"task": "rank"},
        history=_HISTORY,
        plant=slow,
        sizes=(0.0, 0.05, 0.1, 0.2, 0.3),
        claimed=0.2,
        truth=lambda size: size,
        # How long is too long depends on the product and on the machine: the default policy has no rule about it.
        limit=0.05,
        options={"slow_s": _LIMIT_S},
    ),
    Control(
        id="unread-history",
        title="Ignored history",
        planted="for a share of users the recommender is shown no history",
        module="quality",
        metric="history_use",
        params={"ablation": "history_emptied", "metric": "ndcg"},
        history=_HISTORY,
        plant=unread_history,
        sizes=(0.0, 0.5, 0.8, 1.0),
        claimed=1.0,
        truth=lambda size: (1 - size) * (1 - by_lot(_K, _CANDIDATES)),
        seen_by=_not_passed,
        k=_K,
        candidates=_CANDIDATES,
    ),
    Control(
        id="ignored-history",
        title="Lists that stay without the history",
        planted="for a share of users the recommender is shown no history",
        module="quality",
        metric="history_change_rate",
        params={"ablation": "history_emptied"},
        history=_HISTORY,
        plant=unread_history,
        sizes=(0.0, 0.5, 0.8, 1.0),
        claimed=1.0,
        # At 1 nothing can change, and any interval of a rate holds 0: nothing to judge a coverage by.
        truth=lambda size: changed_without(size) if size < 1 else None,
        k=_K,
        candidates=_CANDIDATES,
    ),
)
