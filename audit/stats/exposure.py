"""Exposure: how much nearer to the front a model ranks a planted secret than chance would.

Carlini et al., "The Secret Sharer", USENIX Security 2019, definition 5: log2 |R| - log2 rank. One who knows the model
needs that many bits fewer to guess the secret. A secret that the model never read lies anywhere in R, so that its
exposure is not 0 but 1.44 bits on average, and n ranks that are drawn evenly give the exact law of any mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.resampling import Floats, as_values


def expected_exposure(size: int) -> float:
    """Mean exposure of a rank drawn evenly from 1 to `size`: log2 e = 1.4427 bits for large spaces, less for small.

    Raises:
        ValueError: the space is empty.
    """
    if size < 1:
        raise ValueError(f"size: {size} must be at least 1")
    return math.log2(size) - math.lgamma(size + 1) / math.log(2) / size


def exposures(scores: ArrayLike) -> Floats:
    """Exposure in bits of every candidate, if it were the secret, (n,).

    Candidates of equal score share the mean over the ranks that they hold together: what breaking the tie at random
    would give. So the mean over all candidates is `expected_exposure(n)` whatever the ties.

    Args:
        scores: of each candidate, the higher the likelier, (n,).

    Raises:
        ValueError: there is no score, or one is not finite.
    """
    values = as_values(scores, "scores")
    if not len(values):
        raise ValueError("scores: there is no candidate")
    _, place, counts = np.unique(-values, return_inverse=True, return_counts=True)
    bits = math.log2(len(values)) - np.log2(np.arange(1, len(values) + 1))
    # Rank 1 is the largest exposure, so groups of ties are runs of `bits`.
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    shared: Floats = np.add.reduceat(bits, starts) / counts
    result: Floats = shared[place]
    return result


def exposure_test(
    observed: ArrayLike,
    possible: Sequence[Floats],
    *,
    rng: np.random.Generator,
    side: Literal["greater", "two-sided"] = "greater",
    draws: int = 10_000,
) -> float:
    """Chance of so high a mean exposure if every secret were drawn after the model had ranked its candidates.

    That is what holds of a secret that the model never read: secrets are drawn evenly, and from nothing else. So the
    test is exact, ties and all.

    Args:
        observed: exposure of each secret, (n,).
        possible: for each secret, the exposure of all its candidates, as `exposures` gives it.
        rng: source of the draws.
        side: `two-sided` also counts means that are as far below what is expected; for controls.
        draws: how many sets of secrets are drawn.

    Returns:
        p, at least 1 / (draws + 1).

    Raises:
        ValueError: there is no secret, or the lengths differ.
    """
    seen = as_values(observed, "observed")
    if not len(seen) or len(seen) != len(possible):
        raise ValueError(f"observed, possible: {len(seen)} and {len(possible)}; one set of candidates per secret")
    total = np.zeros(draws)
    for candidates in possible:
        total += candidates[rng.integers(len(candidates), size=draws)]
    expected = float(sum(np.mean(candidates) for candidates in possible))
    mine = float(seen.sum())
    if side == "greater":
        hits = np.count_nonzero(total >= mine - 1e-9)
    else:
        hits = np.count_nonzero(np.abs(total - expected) >= abs(mine - expected) - 1e-9)
    return (int(hits) + 1) / (draws + 1)
