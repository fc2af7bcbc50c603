"""Trivial guesses a yes/no target must be shown beside.

Pooled AUC mostly measures how generous each user is: the plain share of liked items in the prompt reaches figures that
trained systems publish. A target has learned something about items only where it exceeds these within users.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audit.data.splits import windows
from audit.modules.base import Context

_PRIOR_WEIGHT = 5.0
"""Ratings by which an item's mean is shrunk towards the overall mean."""


def score_anchors(context: Context) -> dict[str, npt.NDArray[np.float64]]:
    """Scores of the untrained anchors for every candidate of every case, in that order.

    Returns:
        `like share`: share of liked items in the user's history; `item mean`: share of likes the item got in the
        training part, shrunk by five; `like share + item mean`: their sum. Each of shape (rows,).
    """
    dataset = context.dataset
    frame = windows(dataset)
    train = frame[frame["part"] == "train"]
    overall = float(train["label"].mean())
    n_items = len(dataset.catalog)
    counts = np.bincount(train["item"], minlength=n_items)
    likes = np.bincount(train["item"], weights=train["label"], minlength=n_items)
    means = (likes + _PRIOR_WEIGHT * overall) / (counts + _PRIOR_WEIGHT)
    share: list[float] = []
    mean: list[float] = []
    for case in context.cases:
        rated = [dataset.liked(e.rating) for e in case.request.user.history if e.rating is not None]
        for item in case.request.candidates or ():
            share.append(float(np.mean(rated)) if rated else overall)
            mean.append(float(means[dataset.index[item.id]]) if item.id in dataset.index else overall)
    return {
        "like share": np.array(share),
        "item mean": np.array(mean),
        "like share + item mean": np.array(share) + np.array(mean),
    }
