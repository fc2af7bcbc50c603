"""The answers of two runs to the same requests: how alike the lists are, and whether fewer can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from audit import metrics, stats
from audit.stats import Interval
from audit.types import Answer

if TYPE_CHECKING:
    from audit.run import Run

MOST_REQUESTS = 2000
"""Shared requests whose answers are compared; more are sampled, to bound time and memory."""


@dataclass(frozen=True)
class AnswerChange:
    """The answers of both runs to the very same requests.

    Attributes:
        shared: requests (and repeats) that both runs asked.
        compared: how many of them were compared.
        users: whose requests they are.
        identical: pairs with the same outcome and the same list.
        overlap: RBO of the two lists where both are readable, as a mean over users; 1 is the same list.
        jaccard: the same with Jaccard, which does not look at the order.
        lost: readable in the first run only.
        gained: readable in the second run only.
        p: two-sided p-value of no change in readability.
        test: name of that test.
    """

    shared: int
    compared: int = 0
    users: int = 0
    identical: int = 0
    overlap: Interval | None = None
    jaccard: Interval | None = None
    lost: int = 0
    gained: int = 0
    p: float = 1.0
    test: str = ""


def compare_answers(old: Run, new: Run, rng: np.random.Generator) -> AnswerChange:
    """Compare what both runs were told when they asked the very same thing.

    Args:
        old: the run to compare with.
        new: the run to judge.
        rng: for the bootstrap, the permutations, and the sample of requests where there are very many.
    """
    shared = sorted(old.store.asked(old.id) & new.store.asked(new.id))
    if not shared:
        return AnswerChange(0)
    chosen = shared
    if len(shared) > MOST_REQUESTS:
        chosen = [shared[i] for i in sorted(rng.choice(len(shared), MOST_REQUESTS, replace=False))]
    digests = [digest for digest, _ in chosen]
    first, second = old.store.answers_to(old.id, digests), new.store.answers_to(new.id, digests)
    asked = new.store.askers(digests)
    # Whose question it was stands in the request, and of a search's many questions none is kept.
    chosen = [key for key in chosen if key[0] in asked]
    if not chosen:
        return AnswerChange(len(shared))
    overlaps: dict[str, list[tuple[float, float]]] = {}
    readable: dict[str, list[tuple[bool, bool]]] = {}
    identical = 0
    for key in chosen:
        user, k = asked[key[0]]
        a, b = (_entries(answers[key], k) for answers in (first, second))
        readable.setdefault(user, []).append((bool(a), bool(b)))
        identical += a == b and first[key].outcome == second[key].outcome
        if a and b:
            overlaps.setdefault(user, []).append((1.0, 1.0) if a == b else (metrics.rbo(a, b), metrics.jaccard(a, b)))
    pairs = [pair for of_user in readable.values() for pair in of_user]
    p, test = _readability(readable, rng)
    mean = partial(_mean_over_users, overlaps, rng)
    return AnswerChange(
        shared=len(shared),
        compared=len(chosen),
        users=len(readable),
        identical=identical,
        overlap=mean(lambda pair: pair[0]),
        jaccard=mean(lambda pair: pair[1]),
        lost=sum(a and not b for a, b in pairs),
        gained=sum(b and not a for a, b in pairs),
        p=p,
        test=test,
    )


def _entries(answer: Answer, k: int) -> tuple[str, ...]:
    """The list to compare, best first; scores are turned into the order they give. Empty where nothing is readable.

    An entry that matched no item is known by its title: the same invention twice is no change.
    """
    if answer.outcome != "ok":
        return ()
    ranked = answer.ranked
    if ranked and all(entry.score is not None for entry in ranked):
        ranked = tuple(sorted(ranked, key=lambda entry: -(entry.score or 0.0)))
    return tuple(entry.item_id if entry.item_id is not None else f"title:{entry.title}" for entry in ranked[:k])


def _readability(readable: Mapping[str, Sequence[tuple[bool, bool]]], rng: np.random.Generator) -> tuple[float, str]:
    """Test whether more or fewer answers can be read. The requests of one user are no independent trials."""
    if all(len(pairs) == 1 for pairs in readable.values()):
        single = [pairs[0] for pairs in readable.values()]
        lost, gained = sum(a and not b for a, b in single), sum(b and not a for a, b in single)
        return stats.mcnemar_exact(lost, gained), "McNemar exact"
    before = [float(np.mean([a for a, _ in pairs])) for pairs in readable.values()]
    after = [float(np.mean([b for _, b in pairs])) for pairs in readable.values()]
    return stats.paired_permutation(before, after, rng=rng), "permutation of users"


def _mean_over_users(
    overlaps: Mapping[str, Sequence[tuple[float, float]]],
    rng: np.random.Generator,
    pick: Callable[[tuple[float, float]], float],
) -> Interval | None:
    means = [float(np.mean([pick(pair) for pair in pairs])) for pairs in overlaps.values()]
    return stats.mean_interval(means, rng=rng, bounds=(0.0, 1.0)) if means else None
