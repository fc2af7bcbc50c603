"""How good a yes/no target is on the temporal split, beside anchors that were never trained.

Pooled AUC alone would flatter it: most of it is knowing which users say yes. So UAUC, the mean AUC within a user,
stands beside it, and so do three numbers that anyone can compute from the same data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audit import stats
from audit.data.splits import Part, WindowGroup, window_groups, windows
from audit.errors import DataError, TargetError
from audit.targets.zoo import tallrec

if TYPE_CHECKING:
    from audit.data.dataset import Dataset, FloatArray
    from audit.target import Recommender

SHRINK = 5
"""Pseudo-counts of the overall mean in an item's mean."""

_AT_ONCE = 32


def evaluate(
    target: Recommender,
    dataset: Dataset,
    *,
    rng: np.random.Generator,
    part: Part = "test",
    limit: int | None = None,
    history: int = 10,
    targets: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Pooled AUC and UAUC of a target and of the anchors on the same groups.

    Args:
        target: does the task `score`.
        dataset: with ratings and times.
        rng: chooses the groups, and draws the bootstrap.
        part: of the temporal split.
        limit: the most groups to ask about; None for all.
        history: events in a group's history.
        targets: the most targets in a group.
        progress: called with (groups done, groups).

    Returns:
        `groups`, `targets`, `users_with_both`, and under `scores` by name `auc` and `uauc`, each with `estimate` and
        `ci`; names are `model`, `like_share`, `item_mean` and `sum` (of these two).

    Raises:
        TargetError: the target did not score a group.
        DataError: as for `window_groups`, or the part holds no group.
    """
    groups = window_groups(dataset, part, history=history, targets=targets)
    if not groups:
        raise DataError(f"tallrec: the {part} part of {dataset.name} holds no group; use more data")
    if limit is not None and limit < len(groups):
        groups = [groups[i] for i in np.sort(rng.permutation(len(groups))[:limit])]
    scores = {"model": _ask(target, groups, progress)} | anchors(dataset, groups, history=history)
    labels = np.concatenate([g.labels for g in groups])
    users = np.concatenate([[g.user] * len(g.labels) for g in groups])
    return {
        "part": part,
        "groups": len(groups),
        "targets": len(labels),
        "users_with_both": stats.uauc(scores["model"], labels, users)[1],
        "scores": {
            name: {
                "auc": _shown(stats.auc_interval(values, labels, users, rng=rng)),
                "uauc": _shown(stats.uauc_interval(values, labels, users, rng=rng)),
            }
            for name, values in scores.items()
        },
    }


def anchors(dataset: Dataset, groups: Sequence[WindowGroup], *, history: int = 10) -> dict[str, FloatArray]:
    """Untrained scores of every target, groups in order.

    `like_share`: liked events in the group's history; `item_mean`: mean label of the item in the training part, shrunk
    towards the overall mean by `SHRINK` pseudo-counts; `sum`: both added.
    """
    frame = windows(dataset, history=history)
    train = frame[frame["part"] == "train"]
    overall = float(train["label"].mean())
    by_item = train.groupby("item")["label"].agg(["sum", "count"])
    mean = ((by_item["sum"] + SHRINK * overall) / (by_item["count"] + SHRINK)).to_dict()
    share = np.concatenate(
        [[np.mean([dataset.liked(e.rating) for e in g.history])] * len(g.targets) for g in groups]
    ).astype(np.float64)
    item = np.array([mean.get(dataset.index[i.id], overall) for g in groups for i in g.targets])
    return {"like_share": share, "item_mean": item, "sum": share + item}


def _ask(target: Recommender, groups: Sequence[WindowGroup], progress: Callable[[int, int], None] | None) -> FloatArray:
    found: list[float] = []
    for start in range(0, len(groups), _AT_ONCE):
        batch = groups[start : start + _AT_ONCE]
        for answer in target.recommend([tallrec.question(g.user, g.history, g.targets) for g in batch]):
            if answer.outcome != "ok" or None in answer.scores:
                raise TargetError(f"tallrec: a group was not scored ({answer.outcome}: {answer.detail})")
            found += [float(s) for s in answer.scores if s is not None]
        if progress is not None:
            progress(start + len(batch), len(groups))
    return np.array(found)


def _shown(interval: stats.Interval) -> dict[str, Any]:
    return {"estimate": interval.estimate, "ci": [interval.low, interval.high]}
