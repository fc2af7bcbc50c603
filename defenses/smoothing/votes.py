"""How the answers to many copies of one request become one answer.

A copy casts one vote per item: yes or no for the task `score`, listed or not for `rank`. The *share* of copies that
voted for an item is the only statistic that a binomial bound may be put on. Beside it stands a value between 0 and 1
per copy and item (P(yes), or a Borda or reciprocal-rank score), which orders ties and may order the whole answer.

A copy without a readable answer is a vote for nobody. It stays in the denominator, and is never asked again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from audit.errors import ConfigError
from audit.types import Answer, Outcome, Ranked, Request

Rule = Literal["share", "mean"]
"""What orders the answer: the share of votes, in which the mean value decides ties, or the mean value alone."""

Places = Literal["borda", "rrf"]
"""What a place in a list is worth: (M - rank) / (M - 1) for M candidates, or (60 + 1) / (60 + rank)."""

HALF = Fraction(1, 2)
_RRF = 60
"""Constant of reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009)."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Votes:
    """The votes of n copies on M items.

    Attributes:
        items: M item ids: the candidates in their order; without candidates, every item that a copy listed, by id.
        cast: (n, M) bool, whether the copy voted for the item.
        values: (n, M) float64 in [0, 1]: P(yes), or the score of the place in the list; 0 where it is not listed, and
            in rows that were not read.
        read: (n,) bool, whether the copy has a readable answer.
        titles: of the items.
        failed: how the unread copies ended, with their number.
    """

    items: tuple[str, ...]
    cast: npt.NDArray[np.bool_]
    values: npt.NDArray[np.float64]
    read: npt.NDArray[np.bool_]
    titles: Mapping[str, str]
    failed: Mapping[tuple[Outcome, str], int]

    @property
    def n(self) -> int:
        """Copies."""
        return len(self.read)

    @property
    def failures(self) -> int:
        """Copies without a readable answer."""
        return self.n - int(self.read.sum())

    @cached_property
    def yes(self) -> Counts:
        """(M,) votes for each item."""
        return np.asarray(self.cast.sum(axis=0), dtype=np.int64)

    @cached_property
    def no(self) -> Counts:
        """(M,) readable copies that did not vote for the item."""
        return self.n - self.failures - self.yes

    @cached_property
    def mean(self) -> npt.NDArray[np.float64]:
        """(M,) mean value over the readable copies; 0 where there is none."""
        return np.asarray(self.values.sum(axis=0) / max(self.n - self.failures, 1), dtype=np.float64)

    def order(self, rule: Rule = "share") -> list[int]:
        """Items best first: by votes, then mean value, then id; or by mean value, then id."""
        votes = self.yes if rule == "share" else np.zeros(len(self.items), dtype=np.int64)
        return sorted(range(len(self.items)), key=lambda i: (-votes[i], -self.mean[i], self.items[i]))


def collect(
    request: Request, answers: Sequence[Answer | None], *, depth: int | None = None, places: Places = "borda"
) -> Votes:
    """Count the votes.

    Args:
        request: the request that the copies were made of.
        answers: per copy; None where there was nothing to ask.
        depth: how many entries of a list count; None for the request's k.
        places: the values of `rank`. Without candidates M is depth + 1. An item that is not listed has 0.

    Returns:
        The votes. A listed id that is none of the candidates gets no vote, and a repeated one gets one.
    """
    score = request.task == "score"
    depth = request.k if depth is None else depth
    lists = [
        None if a is None or not readable(a) else a.ranked if score else _first(request, a, depth) for a in answers
    ]
    titles = {item.id: item.title for item in request.candidates or ()}
    if request.candidates is None:
        seen = {e.item_id: e.title for listed in lists for e in listed or () if e.item_id is not None}
        titles = dict(sorted(seen.items()))
    items = tuple(titles)
    place = {item_id: i for i, item_id in enumerate(items)}
    cast = np.zeros((len(lists), len(items)), dtype=bool)
    values = np.zeros((len(lists), len(items)))
    for row, listed in enumerate(lists):
        for rank, entry in enumerate(listed or (), 1):
            if entry.item_id is None:
                continue
            column = place[entry.item_id]
            if score:
                probability = min(max(entry.score or 0.0, 0.0), 1.0)
                cast[row, column] = probability > 0.5
                values[row, column] = probability
            else:
                cast[row, column] = True
                values[row, column] = _place_score(rank, len(request.candidates or ()) or depth + 1, places)
    failed: Counter[tuple[Outcome, str]] = Counter(
        ("error", "there was nothing to ask") if a is None else _how(a)
        for a, listed in zip(answers, lists, strict=True)
        if listed is None
    )
    read = np.array([listed is not None for listed in lists], dtype=bool)
    return Votes(items, cast, values, read, titles, failed)


def readable(answer: Answer) -> bool:
    """Whether the answer is one that can vote."""
    return answer.outcome == "ok" and bool(answer.ranked)


def _how(answer: Answer) -> tuple[Outcome, str]:
    return ("unparsable", "the list is empty") if answer.outcome == "ok" else (answer.outcome, answer.detail)


def _first(request: Request, answer: Answer, depth: int) -> tuple[Ranked, ...]:
    """The first entries that are items on offer, each once. Foreign entries keep their places, and so their ranks."""
    offered = None if request.candidates is None else {item.id for item in request.candidates}
    seen: set[str] = set()
    kept = []
    for entry in answer.ranked[:depth]:
        known = entry.item_id is not None and (offered is None or entry.item_id in offered)
        if known and entry.item_id not in seen:
            seen.add(entry.item_id or "")
            kept.append(entry)
        else:
            kept.append(Ranked(None))
    return tuple(kept)


def _place_score(rank: int, count: int, places: Places) -> float:
    if places == "rrf":
        return (_RRF + 1) / (_RRF + rank)
    return max(count - rank, 0) / max(count - 1, 1)


def decisions(votes: Votes, rule: Rule = "share", threshold: Fraction = HALF) -> npt.NDArray[np.bool_]:
    """(M,) whether the copies say yes: more than `threshold` of the votes cast, or of the mean value.

    At an even split of the votes, and a threshold of one half, the mean value decides.
    """
    if rule == "mean":
        return np.array([Fraction(float(m)) > threshold for m in votes.mean], dtype=bool)
    cast = votes.n - votes.failures
    shares = [Fraction(int(yes), cast) if cast else Fraction(0) for yes in votes.yes]
    return np.array(
        [s > threshold or (s == threshold == HALF and m > 0.5) for s, m in zip(shares, votes.mean, strict=True)],
        dtype=bool,
    )


def answer(request: Request, votes: Votes, *, rule: Rule = "share", threshold: Fraction = HALF) -> Answer:
    """The smoothed answer.

    `score`, by share: (votes + mean) / (n + 1) over the n readable copies, a number on the side of one half on which
    the votes are, in which votes count first and the mean probability orders ties. By mean: the mean probability. With
    another threshold than one half it is moved to the side of one half on which the decision is.

    `rank`: the first k items in the order of `Votes.order`, with the same number as score, or the mean place score.
    Items without a vote are not listed.

    Returns:
        The answer, without usage. Where no copy could be read, the most frequent outcome of the copies.
    """
    read = votes.n - votes.failures
    if read == 0:
        return _nothing_read(votes)
    scores = votes.mean if rule != "share" else (votes.yes + votes.mean) / (read + 1)
    if request.task == "score":
        if threshold != HALF:
            scores = (scores + decisions(votes, rule, threshold)) / 2
        entries = zip(votes.items, scores, strict=True)
        return Answer(tuple(Ranked(item, votes.titles[item], float(score)) for item, score in entries))
    listed = top(votes, request.k, rule, without=owned(request))
    if not listed:
        return Answer(outcome="unparsable", detail=f"none of {votes.n} copies listed an item on offer")
    names = ((votes.items[i], float(scores[i])) for i in listed)
    return Answer(tuple(Ranked(item, votes.titles[item], score) for item, score in names))


def top(votes: Votes, k: int, rule: Rule = "share", *, without: Collection[str] = ()) -> list[int]:
    """The first k items that got a vote, best first, without some that are not on offer."""
    return [i for i in votes.order(rule) if votes.yes[i] and votes.items[i] not in without][:k]


def owned(request: Request) -> frozenset[str]:
    """Items that are not on offer because the user has them: those of the history, in a ranking of the whole catalogue.

    A copy that has lost an item of the history may list it, so what the target leaves out by itself is left out here.
    It is left out after counting: votes must not depend on what a copy has lost.
    """
    if request.task != "rank" or request.candidates is not None:
        return frozenset()
    return frozenset(event.item.id for event in request.user.history)


def mean_scores(request: Request, answers: Sequence[Answer | None]) -> Answer:
    """The mean of the target's own scores over the readable copies, for scores that are no probabilities of a yes.

    Returns:
        The answer, without usage. Where no copy could be read, the most frequent outcome of the copies.
    """
    read = [a for a in answers if a is not None and readable(a) and None not in a.scores]
    if not read:
        return _nothing_read(collect(request, answers))
    scores = np.mean([np.array(a.scores, dtype=np.float64) for a in read], axis=0)
    entries = zip(read[0].ranked, scores.tolist(), strict=True)
    return Answer(tuple(Ranked(entry.item_id, entry.title, score) for entry, score in entries))


def _nothing_read(votes: Votes) -> Answer:
    if not votes.failed:
        return Answer(outcome="error", detail="there are no copies to ask about")
    (outcome, detail), _ = max(votes.failed.items(), key=lambda kv: kv[1])
    return Answer(outcome=outcome, detail=f"none of {votes.n} copies got a readable answer, most often: {detail}")


@dataclass(frozen=True)
class Counting:
    """How votes become an answer.

    Attributes:
        rule: see `Rule`.
        places: see `Places`.
        depth: how many entries of a copy's list are votes; None for the request's k.
        threshold: share of the votes above which the decision is yes.
    """

    rule: Rule = "share"
    places: Places = "borda"
    depth: int | None = None
    threshold: float = 0.5

    def check(self, defense: str) -> None:
        """Raise ConfigError for a setting that cannot be used, named as an option of this defense."""
        for name, known in (("rule", get_args(Rule)), ("places", get_args(Places))):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"defenses.{defense}.{name}: {getattr(self, name)!r} must be one of {', '.join(known)}"
                )
        if self.depth is not None and self.depth < 1:
            raise ConfigError(f"defenses.{defense}.depth: {self.depth} must be at least 1; leave it out for k")
        if not 0 < self.threshold < 1:
            raise ConfigError(f"defenses.{defense}.threshold: {self.threshold} must lie between 0 and 1")

    @property
    def exact_threshold(self) -> Fraction:
        """The threshold as it was written."""
        return Fraction(str(self.threshold))

    def votes(self, request: Request, answers: Sequence[Answer | None]) -> Votes:
        """See `collect`."""
        return collect(request, answers, depth=self.depth, places=self.places)

    def decisions(self, votes: Votes) -> npt.NDArray[np.bool_]:
        """See `decisions`."""
        return decisions(votes, self.rule, self.exact_threshold)

    def listed(self, request: Request, votes: Votes) -> list[int]:
        """See `top`."""
        return top(votes, request.k, self.rule, without=owned(request))

    def list_length(self, request: Request) -> int:
        """How many entries of a copy's list are votes."""
        return request.k if self.depth is None else self.depth

    def answer(self, request: Request, votes: Votes) -> Answer:
        """See `answer`."""
        return answer(request, votes, rule=self.rule, threshold=self.exact_threshold)
