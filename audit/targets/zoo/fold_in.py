"""A user whom the training never met, placed among items that it did: the model's own objective, the items held fixed.

Factor models know users by number. An audit asks for histories: edited ones, and new people's. A product answers such a
request by folding in, and so do the reference recommenders here: they look for the user's own vector that minimises the
loss they were trained with, over the items of the request's history. With the items fixed that is a smooth convex
problem in few dimensions, so there is one answer, whatever the order of the history, the seed, or the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audit.data.dataset import FloatArray, IntArray

Placing = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""The user's own vector p (dim,) to the vector x (dim,) that scores items, and dx/dp by coordinate (dim,).

Coordinates do not mix in any of our models.
"""

_STEPS, _HALVINGS, _CLOSE = 30, 12, 1e-5


def spread(popularity: IntArray, count: int) -> IntArray:
    """Up to `count` item indices, evenly spaced from the most to the least popular, ascending: what to rank against.

    The same items for every user, so that a request's answer depends on its history alone.
    """
    order = np.argsort(-popularity, kind="stable")
    if len(order) <= count:
        return np.sort(order)
    return np.sort(order[((np.arange(count) + 0.5) * len(order) / count).astype(np.int64)])


def fold_in(liked: FloatArray, others: FloatArray, ridge: float, place: Placing) -> FloatArray:
    """The vector x of the user who minimises the mean BPR loss, by Newton's method with step halving.

    The loss is mean over pairs of softplus(x·(q_j - q_i)) + ridge / 2 · ‖p‖², for i in the history and j not in it:
    that of Rendle et al. (UAI 2009) as the training averages it, with every pair in place of drawn ones.

    Args:
        liked: (h, dim) vectors of the items of the history.
        others: (m, dim) vectors of items that are not in it.
        ridge: λ.
        place: from p to x.

    Returns:
        x, (dim,). Without any pair, that of p = 0.
    """
    own = np.zeros(liked.shape[1])
    x, gain = place(own)
    if not len(liked) or not len(others):
        return x
    value, gradient, curvature = _bpr(liked, others, x)
    for _ in range(_STEPS):
        total = value + ridge / 2 * (own @ own)
        slope = gain * gradient + ridge * own
        bend = gain[:, None] * curvature() * gain + ridge * np.eye(len(own))
        step = np.linalg.solve(bend, slope)
        for halving in range(_HALVINGS):
            tried = own - step / 2**halving
            x_tried, gain_tried = place(tried)
            found = _bpr(liked, others, x_tried)
            if found[0] + ridge / 2 * (tried @ tried) <= total:
                break
        else:
            break  # No step helps: this is the minimum, to rounding.
        own, x, gain = tried, x_tried, gain_tried
        value, gradient, curvature = found
        if np.abs(step).max() <= _CLOSE * max(1.0, np.abs(own).max()):
            break
    return x


def _bpr(liked: FloatArray, others: FloatArray, x: FloatArray) -> tuple[float, FloatArray, Callable[[], FloatArray]]:
    """Mean loss over pairs, its gradient by x, and, when asked, its Hessian."""
    # Scores differ by hundreds only where a pair is settled; the bound keeps exp finite.
    odds = np.exp(np.clip((others @ x)[None, :] - (liked @ x)[:, None], -500, 500))
    wrong = odds / (1 + odds)
    share = 1 / wrong.size
    gradient = (wrong.sum(axis=0) @ others - wrong.sum(axis=1) @ liked) * share

    def hessian() -> FloatArray:
        weight = wrong * (1 - wrong) * share
        mixed = (liked.T @ weight) @ others
        alone = (liked.T * weight.sum(axis=1)) @ liked + (others.T * weight.sum(axis=0)) @ others
        bent: FloatArray = alone - mixed - mixed.T
        return bent

    return float(np.log1p(odds).sum() * share), gradient, hessian
