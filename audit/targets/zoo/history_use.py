"""Whether a reference recommender reads the history, how far back, and in order.

HR@10 alone would flatter it: a popularity list reaches half of it, and a model that looks at the last item only reaches
most of it. So the same users are asked with the history shuffled, reversed, cut to its last item, emptied, and taken
from another user. An audit that edits a history must know which of these edits can matter at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit import stats
from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.data.splits import leave_one_out
from audit.targets.zoo.protocol import ScoreFunction, gains, hits, leave_one_out_ranks

FILE = "evaluation.json"
K = 10

CONDITIONS = {
    "true": "own history",
    "shuffled": "shuffled (the window)",
    "reversed": "reversed (the window)",
    "last_only": "last item only",
    "emptied": "emptied",
    "other": "another user's",
}
"""What the model is given in place of the user's history, by name."""


def histories_by_condition(
    contexts: Sequence[IntArray], *, rng: np.random.Generator, window: int | None = None
) -> dict[str, list[IntArray]]:
    """The histories that each of `CONDITIONS` asks with, in the order of `contexts`.

    Args:
        contexts: each user's own history, item indices, oldest first.
        rng: shuffles.
        window: how many of the last items the model reads; None for all. Only these are shuffled and reversed: else
            both would also bring in older items.
    """
    read = [context if window is None else context[-window:] for context in contexts]
    return {
        "true": list(contexts),
        "shuffled": [rng.permutation(part) for part in read],
        "reversed": [part[::-1] for part in read],
        "last_only": [context[-1:] for context in contexts],
        "emptied": [context[:0] for context in contexts],
        "other": [*contexts[1:], *contexts[:1]],
    }


def evaluate(
    score: ScoreFunction, dataset: Dataset, *, rng: np.random.Generator, window: int | None = None
) -> dict[str, Any]:
    """HR@10 and NDCG@10 on the validation items, and on the test items under each of `CONDITIONS`.

    Ranked as `leave_one_out_ranks` does; the items masked are those of the user's own history under every condition.

    Args:
        score: of a model that has learned from neither of the held-out items.
        dataset: that of the training.
        rng: shuffles histories and draws the bootstrap.
        window: how many of the last items the model reads; None for all.

    Returns:
        `users`; `valid`: `hr@10` and `ndcg@10`; `test`: `hr@10` by condition and `ndcg@10`; and the paired differences
        in HR@10 `order` (own - shuffled) and `depth` (own - last item only). Each value is an `estimate` and its
        95 % interval over users, `ci` (Wilson for HR@10, BCa bootstrap for the rest).
    """
    valid = leave_one_out_ranks(score, dataset, "valid")
    split = leave_one_out(dataset)
    contexts = [split.context(user, "test") for user in split.test]
    found = {}
    for name, histories in histories_by_condition(contexts, rng=rng, window=window).items():
        found[name] = _ranks(score, dataset, histories)
    hit = {name: hits(ranks, K) for name, ranks in found.items()}
    return {
        "users": len(valid),
        "valid": {"hr@10": _rate(hits(valid, K)), "ndcg@10": _gain(valid, rng)},
        "test": {"hr@10": {name: _rate(values) for name, values in hit.items()}, "ndcg@10": _gain(found["true"], rng)},
        "order": _shown(stats.paired_difference(hit["true"], hit["shuffled"], rng=rng, bounds=(-1, 1))),
        "depth": _shown(stats.paired_difference(hit["true"], hit["last_only"], rng=rng, bounds=(-1, 1))),
    }


def write(report: Mapping[str, Any], out: Path) -> None:
    """Keep what `evaluate` found in the folder of the weights, as `evaluation.json`."""
    (out / FILE).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def summary(report: Mapping[str, Any]) -> dict[str, float]:
    """What `recaudit train` prints beside the figures of the own history: HR@10 on the test items, by condition."""
    rates = report["test"]["hr@10"]
    return {f"test_hr@10_{name}": rates[name]["estimate"] for name in CONDITIONS if name != "true"}


def _ranks(score: ScoreFunction, dataset: Dataset, histories: Sequence[IntArray]) -> Mapping[str, float]:
    left = iter(histories)
    return leave_one_out_ranks(lambda batch: score([next(left) for _ in batch]), dataset, "test")


def _rate(values: FloatArray) -> dict[str, Any]:
    return _shown(stats.wilson(int(values.sum()), len(values)))


def _gain(ranks: Mapping[str, float], rng: np.random.Generator) -> dict[str, Any]:
    return _shown(stats.mean_interval(gains(ranks, K), rng=rng, bounds=(0, 1)))


def _shown(interval: stats.Interval) -> dict[str, Any]:
    return {"estimate": round(interval.estimate, 4), "ci": [round(interval.low, 4), round(interval.high, 4)]}
