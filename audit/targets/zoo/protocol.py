"""How the reference recommenders are measured: leave-one-out with full ranking.

The target item of each user is ranked among the whole catalogue; the items of the user's history are taken out, except
the target itself, and ties share their mean rank. The choice matters: on MovieLens-100K, ranking against 99 sampled
negatives or leaving the history in moves HR@10 of the same model by a factor of four to ten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.data.splits import leave_one_out

ScoreFunction = Callable[[Sequence[IntArray]], FloatArray]
"""Histories as item indices, oldest first, to scores of shape (histories, items); higher is better."""

_BATCH = 256


def leave_one_out_ranks(
    score: ScoreFunction, dataset: Dataset, part: Literal["valid", "test"] = "test"
) -> Mapping[str, float]:
    """Rank of each user's held-out item, 1 for the best, by user id.

    Args:
        score: scores of all items given histories.
        dataset: what to split; the model must not have learned from the held-out item.
        part: `valid` ranks the last but one item given all before; `test` ranks the last.
    """
    split = leave_one_out(dataset)
    held_out = split.valid if part == "valid" else split.test
    users = list(held_out)
    ranks: dict[str, float] = {}
    for start in range(0, len(users), _BATCH):
        batch = users[start : start + _BATCH]
        histories = [split.context(user, part) for user in batch]
        for user, history, row in zip(batch, histories, score(histories), strict=True):
            ranks[user] = _rank(row, history, held_out[user])
    return ranks


def _rank(row: FloatArray, history: IntArray, target: int) -> float:
    kept = np.ones(len(row), dtype=bool)
    kept[history] = False
    kept[target] = False
    others = row[kept]
    return float(1 + np.sum(others > row[target]) + np.sum(others == row[target]) / 2)


def hits(ranks: Mapping[str, float], k: int) -> FloatArray:
    """1 where the item is among the first `k`, else 0, by user; the mean is HR@k."""
    return (_values(ranks) <= k).astype(np.float64)


def gains(ranks: Mapping[str, float], k: int) -> FloatArray:
    """1 / log2(1 + rank) where the rank is at most `k`, else 0, by user; the mean is NDCG@k for one relevant item."""
    values = _values(ranks)
    return np.where(values <= k, 1 / np.log2(1 + values), 0.0)


def _values(ranks: Mapping[str, float]) -> FloatArray:
    return np.fromiter(ranks.values(), dtype=np.float64, count=len(ranks))
