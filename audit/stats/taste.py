"""How far a list is from what its user chose before, by shares of categories, and how far lists are by chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.resampling import Floats


def jensen_shannon(p: ArrayLike, q: ArrayLike) -> Floats:
    """Jensen–Shannon divergence of distributions, in bits: 0 for the same, 1 for no category in common (Lin 1991).

    Args:
        p: shape (…, c), rows that sum to one.
        q: the same shape, or one that broadcasts to it.

    Returns:
        Shape (…).
    """
    a, b = np.broadcast_arrays(np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64))
    middle = (a + b) / 2.0
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(a > 0, a * np.log2(a / middle), 0.0).sum(axis=-1)
        right = np.where(b > 0, b * np.log2(b / middle), 0.0).sum(axis=-1)
    result: Floats = np.clip((left + right) / 2.0, 0.0, 1.0)
    return result


def miscalibration(
    history: ArrayLike, listed: ArrayLike, *, rng: np.random.Generator, draws: int = 100
) -> tuple[float, float]:
    """How far a list's categories are from the history's, and how far as long a list drawn from the history would be.

    A short list cannot hold a taste of eighteen genres: drawn from the very same taste, ten items are 1.3 nats of
    Kullback–Leibler divergence away on average (Steck, RecSys 2018, for the measure). So only what exceeds the user's
    own floor is miscalibration.

    Args:
        history: (events, categories) each row the item's categories, summing to one.
        listed: (items, categories) the same of the list.
        rng: source of the draws.
        draws: how many lists are drawn from the history.

    Returns:
        The divergence of the list, and the mean of those that are drawn.

    Raises:
        ValueError: the history or the list is empty.
    """
    past, shown = np.asarray(history, dtype=np.float64), np.asarray(listed, dtype=np.float64)
    if len(past) == 0 or len(shown) == 0:
        raise ValueError("history and listed: both need at least one item with a category")
    taste = past.mean(axis=0)
    drawn = past[rng.integers(len(past), size=(draws, len(shown)))].mean(axis=1)
    return float(jensen_shannon(taste, shown.mean(axis=0))), float(jensen_shannon(taste, drawn).mean())
