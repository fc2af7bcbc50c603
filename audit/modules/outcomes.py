"""What each case came to: per-user numbers that findings are computed from.

An answer that is refused, unparsable or failed is an outcome. It earns nothing (NDCG 0, no hit), is counted apart as
invalid, and is never read as robustness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit import metrics
from audit.types import Answer, Case

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Names = tuple[str, ...]


@dataclass(frozen=True)
class RankOutcomes:
    """Rankings, judged. Every array has one entry per case, in the cases' order.

    Attributes:
        lists: names of the first k entries: the id, or for a title that matched no item the title itself, marked so
            that it equals no id.
        ndcg: NDCG@k.
        hit: whether a relevant item is among the first k.
        reciprocal_rank: of the first relevant item, 0 if it is not in the list.
        valid: whether there is a list to read.
    """

    lists: tuple[tuple[str, ...], ...]
    ndcg: Floats
    hit: Bools
    reciprocal_rank: Floats
    valid: Bools

    def rbo_loss(self, other: RankOutcomes) -> Floats:
        """1 - RBO between the two lists of each case, 0 (same list) to 1; a list that the other side lacks is 1."""
        return _losses(self, other, lambda a, b: 1.0 - metrics.rbo(a, b))

    def jaccard_loss(self, other: RankOutcomes) -> Floats:
        """1 - Jaccard@k between the two lists of each case, 0 (same items) to 1."""
        return _losses(self, other, lambda a, b: 1.0 - metrics.jaccard(a, b))


def _losses(a: RankOutcomes, b: RankOutcomes, loss: Callable[[Names, Names], float]) -> Floats:
    return np.array(
        [
            (0.0 if x == y else loss(x, y)) if va and vb else float(va or vb)
            for x, y, va, vb in zip(a.lists, b.lists, a.valid, b.valid, strict=True)
        ],
        dtype=np.float64,
    )


def rank_outcomes(cases: Sequence[Case], answers: Sequence[Answer]) -> RankOutcomes:
    """Judge one ranking per case, each at the k of its request."""
    lists, ndcg, hit, reciprocal, valid = [], [], [], [], []
    for case, answer in zip(cases, answers, strict=True):
        k = case.request.k
        readable = answer.outcome == "ok" and bool(answer.ranked)
        ids = answer.ids[:k] if readable else ()
        # Two answers that invent the same title are the same answer: unmatched titles are compared by their wording.
        lists.append(tuple(r.item_id if r.item_id is not None else f"\0{r.title}" for r in answer.ranked[: len(ids)]))
        ndcg.append(metrics.ndcg(ids, case.relevant, k))
        hit.append(metrics.hit_rate(ids, case.relevant, k) > 0)
        reciprocal.append(metrics.reciprocal_rank(ids, case.relevant, k))
        valid.append(readable)
    return RankOutcomes(
        tuple(lists), np.array(ndcg), np.array(hit, dtype=bool), np.array(reciprocal), np.array(valid, dtype=bool)
    )


@dataclass(frozen=True)
class ScoreOutcomes:
    """Scores, by case and by row. A row is one candidate of one case.

    Attributes:
        scores: (rows,) in the order of the cases and of their candidates; 0 where the case is invalid.
        labels: (rows,) 0 or 1.
        case: (rows,) index of the case of each row.
        users: (rows,) user of each row: the unit of inference.
        valid: (cases,) whether every candidate of the case has a score.
    """

    scores: Floats
    labels: npt.NDArray[np.int64]
    case: npt.NDArray[np.int64]
    users: npt.NDArray[np.str_]
    valid: Bools

    @property
    def rows(self) -> Bools:
        """Which rows belong to valid cases."""
        rows: Bools = self.valid[self.case]
        return rows

    @property
    def right(self) -> Bools:
        """(rows,) whether the yes/no decision at one half agrees with the label; a decision never made is not right."""
        right: Bools = self.rows & ((self.scores > 0.5) == (self.labels == 1))
        return right


def score_outcomes(cases: Sequence[Case], answers: Sequence[Answer]) -> ScoreOutcomes:
    """Collect the scores of every case, in the order of the clean request's candidates.

    Scores are found by item id, so an answer to reordered candidates is read right.
    """
    scores: list[float] = []
    labels: list[int] = []
    index: list[int] = []
    users: list[str] = []
    valid: list[bool] = []
    for i, (case, answer) in enumerate(zip(cases, answers, strict=True)):
        given = {r.item_id: r.score for r in answer.ranked if r.score is not None}
        items = case.request.candidates or ()
        complete = answer.outcome == "ok" and all(item.id in given for item in items)
        valid.append(complete)
        for item, label in zip(items, case.labels, strict=True):
            scores.append(float(given[item.id] or 0.0) if complete else 0.0)
            labels.append(label)
            index.append(i)
            users.append(case.unit)
    return ScoreOutcomes(
        np.array(scores, dtype=np.float64),
        np.array(labels, dtype=np.int64),
        np.array(index, dtype=np.int64),
        np.array(users, dtype=np.str_),
        np.array(valid, dtype=bool),
    )


def stacked(parts: Sequence[ScoreOutcomes]) -> ScoreOutcomes:
    """Several outcomes of the same cases as one, such as the draws of one attack: each user has the rows of all."""
    counts = np.cumsum([0, *(len(part.valid) for part in parts)])
    return ScoreOutcomes(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.case + offset for part, offset in zip(parts, counts, strict=False)]),
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.valid for part in parts]),
    )


def order_of(outcomes: ScoreOutcomes, cases: Sequence[Case]) -> RankOutcomes:
    """The order that the scores give to each case's candidates, for comparing orders.

    Ties keep the order of the clean request, so two equal sets of scores never differ.
    """
    lists = []
    for i, case in enumerate(cases):
        rows = outcomes.scores[outcomes.case == i]
        items = case.request.candidates or ()
        lists.append(tuple(items[j].id for j in np.argsort(-rows, kind="stable")) if outcomes.valid[i] else ())
    zeros = np.zeros(len(cases))
    return RankOutcomes(tuple(lists), zeros, np.zeros(len(cases), dtype=bool), zeros, outcomes.valid)
