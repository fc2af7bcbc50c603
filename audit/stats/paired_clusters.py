"""The difference of two rates over trials nested in units, where every unit was measured under both conditions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.stats.intervals import Interval
from audit.stats.resampling import Floats, as_values, bootstrap, check_same_length, cluster_rate

_ROWS = 1 << 20


def paired_cluster_difference(
    hits_a: ArrayLike,
    trials_a: ArrayLike,
    hits_b: ArrayLike,
    trials_b: ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Interval of sum(hits_a) / sum(trials_a) - sum(hits_b) / sum(trials_b), such as of claims under two prompts.

    Units are resampled whole, with what they gave under both conditions. Where the resamples do not vary (all titles
    are real under one condition, none under the other) a bootstrap would claim certainty; the intervals of the two
    rates are then joined (MOVER, Zou & Donner 2008, eq. 4, taken as independent, which is cautious for paired units).

    Args:
        hits_a: per unit, shape (n,).
        trials_a: per unit, at least the hits, shape (n,); 0 for a unit that has none under this condition.
        hits_b: as `hits_a`, under the other condition.
        trials_b: as `trials_a`.
        rng: source of the draws.
        level: confidence level.
        resamples: number of resamples.

    Raises:
        ValueError: the lengths differ, a count does not fit, there are fewer than 2 units, or a condition has no trial.
    """
    ha, ta, hb, tb = _checked(hits_a, trials_a, hits_b, trials_b)

    def difference(weights: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            result: Floats = weights @ ha / (weights @ ta) - weights @ hb / (weights @ tb)
        return result

    found = bootstrap(difference, len(ha), rng=rng, level=level, resamples=resamples)
    if found.high > found.low:
        return found
    a, b = (cluster_rate(h, t, rng=rng, level=level, resamples=resamples) for h, t in ((ha, ta), (hb, tb)))
    low = found.estimate - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = found.estimate + math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(found.estimate, max(low, -1.0), min(high, 1.0), level, "mover")


def paired_cluster_permutation(
    hits_a: ArrayLike,
    trials_a: ArrayLike,
    hits_b: ArrayLike,
    trials_b: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 10_000,
) -> float:
    """Two-sided test that the conditions could be swapped within any unit; see `paired_cluster_difference`.

    Hits and trials are swapped together, so a condition under which units have fewer trials is treated fairly.

    Returns:
        (reached + 1) / (permutations + 1), which keeps the size; 1 when no unit differs.

    Raises:
        ValueError: as for `paired_cluster_difference`.
    """
    ha, ta, hb, tb = _checked(hits_a, trials_a, hits_b, trials_b)
    differs = (ha != hb) | (ta != tb)
    if not differs.any():
        return 1.0
    seen = abs(ha.sum() / ta.sum() - hb.sum() / tb.sum())
    swap_h, swap_t = (hb - ha)[differs], (tb - ta)[differs]
    reached, rows = 0, max(1, _ROWS // len(swap_h))
    for start in range(0, permutations, rows):
        swapped = rng.integers(0, 2, size=(min(rows, permutations - start), len(swap_h))).astype(np.float64)
        moved_h, moved_t = swapped @ swap_h, swapped @ swap_t
        with np.errstate(divide="ignore", invalid="ignore"):
            first = (ha.sum() + moved_h) / (ta.sum() + moved_t)
            second = (hb.sum() - moved_h) / (tb.sum() - moved_t)
        # A draw that leaves one side without trials shows no difference that could be compared: counted as reached.
        drawn = np.nan_to_num(np.abs(first - second), nan=np.inf)
        reached += int(np.count_nonzero(drawn >= seen - 1e-12))
    return (reached + 1) / (permutations + 1)


def linearised(hits: ArrayLike, trials: ArrayLike) -> NDArray[np.float64]:
    """One number per unit whose mean is sum(hits) / sum(trials), and which spread as that rate does (delta method).

    Raises:
        ValueError: there is no trial.
    """
    h, t = as_values(hits, "hits"), as_values(trials, "trials")
    check_same_length(hits=h, trials=t)
    if t.sum() <= 0:
        raise ValueError("trials: there is none, so there is no rate")
    rate = h.sum() / t.sum()
    each: NDArray[np.float64] = rate + (h - rate * t) / t.mean()
    return each


def _checked(hits_a: ArrayLike, trials_a: ArrayLike, hits_b: ArrayLike, trials_b: ArrayLike) -> tuple[Floats, ...]:
    names = ("hits_a", "trials_a", "hits_b", "trials_b")
    arrays = {n: as_values(v, n) for n, v in zip(names, (hits_a, trials_a, hits_b, trials_b), strict=True)}
    check_same_length(**arrays)
    for side in "ab":
        hits, trials = arrays[f"hits_{side}"], arrays[f"trials_{side}"]
        if np.any(hits < 0) or np.any(hits > trials):
            raise ValueError(f"hits_{side}: a unit has more hits than trials, or fewer than none")
        if trials.sum() <= 0:
            raise ValueError(f"trials_{side}: there is none under this condition, so there is no rate to compare")
    if len(arrays["hits_a"]) < 2:
        raise ValueError("hits_a: fewer than 2 units; a paired comparison needs more")
    return tuple(arrays.values())
