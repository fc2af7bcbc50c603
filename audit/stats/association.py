"""Which features the lists of one group hold more often than those of another: log-odds with an informative prior.

Monroe, Colaresi & Quinn, "Fightin' Words", Political Analysis 2008, eqs. 15, 16 and 22. The prior draws the odds of
rare features towards what both groups have in common, so that one list does not make a stereotype. The published test
treats every count as independent. Features of one list, and lists of one user, are not: where users have tastes, the
analytic z rejects a true null in 29 % of simulations at a nominal 5 %. So labels are permuted here, within units that
are seen under every label, or else over units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike

from audit.stats.intervals import Interval
from audit.stats.resampling import Floats, bootstrap

PRIOR_STRENGTH = 500.0
"""Counts that the prior weighs as much as: its published size for some twenty features."""

_MAX_CELLS = 1 << 20
_ROUNDING = 1e-12


def informative_prior(counts: ArrayLike, strength: float = PRIOR_STRENGTH) -> Floats:
    """Pseudo-counts of each feature: `strength` in all, in the shares of the pooled counts (Monroe et al., eq. 23).

    Args:
        counts: of each feature in both groups together, shape (features,).
        strength: how many counts the prior weighs as much as.

    Raises:
        ValueError: no count, a negative one, or a strength that is not above 0.
    """
    pooled = np.asarray(counts, dtype=np.float64)
    if pooled.ndim != 1 or np.any(pooled < 0) or not pooled.sum() > 0:
        raise ValueError("counts: one number per feature is needed, none negative and not all 0")
    if not strength > 0:
        raise ValueError(f"strength: {strength} must be above 0")
    prior: Floats = strength * pooled / pooled.sum()
    return prior


def log_odds(first: ArrayLike, second: ArrayLike, prior: ArrayLike) -> Floats:
    """Log-odds ratio of each feature, first group against second; 0 for a feature that neither has.

    Args:
        first: counts of each feature, shape (…, features).
        second: of the other group, likewise.
        prior: pseudo-counts, shape (features,).
    """
    alpha = np.asarray(prior, dtype=np.float64)
    return _odds(np.asarray(first, dtype=np.float64), alpha) - _odds(np.asarray(second, dtype=np.float64), alpha)


def log_odds_z(first: ArrayLike, second: ArrayLike, prior: ArrayLike) -> Floats:
    """The published z of `log_odds`: for comparison only, because it takes the counts of one list as independent."""
    alpha = np.asarray(prior, dtype=np.float64)
    y, x = np.asarray(first, dtype=np.float64) + alpha, np.asarray(second, dtype=np.float64) + alpha
    with np.errstate(divide="ignore", invalid="ignore"):
        z = log_odds(first, second, prior) / np.sqrt(1.0 / y + 1.0 / x)
    return np.nan_to_num(z)


def _odds(counts: Floats, prior: Floats) -> Floats:
    total = counts.sum(axis=-1, keepdims=True) + prior.sum()
    return _log_ratio(counts + prior, total)


def _log_ratio(here: Floats, total: Floats) -> Floats:
    """log(here / (total - here)); 0 where a feature has neither counts nor prior, or is the only one there is."""
    rest = total - here
    sound = (here > 0) & (rest > _ROUNDING * total)
    odds: Floats = np.log(np.where(sound, here, 1.0) / np.where(sound, rest, 1.0))
    return odds


def within_units_tests(
    cells: ArrayLike, prior: ArrayLike, *, rng: np.random.Generator, permutations: int = 9_999
) -> Floats:
    """Two-sided tests of each label against all the others, for units that are seen under every label.

    Under the null the labels of a unit could be exchanged, so they are drawn anew within each unit. The lists of one
    unit under one label move together: repeats that are alike are no further evidence.

    Args:
        cells: counts, shape (units, labels, features).
        prior: pseudo-counts, shape (features,).
        rng: source of the permutations.
        permutations: how many.

    Returns:
        p-values, not corrected, (labels, features).

    Raises:
        ValueError: no unit, or fewer than two labels.
    """
    counts = np.asarray(cells, dtype=np.float64)
    if counts.ndim != 3 or counts.shape[0] < 1 or counts.shape[1] < 2:
        raise ValueError(f"cells: shape {counts.shape}; (units, labels, features) with two labels or more are needed")
    units, labels, features = counts.shape
    alpha = np.asarray(prior, dtype=np.float64)
    whole = counts.sum(axis=(0, 1))
    mine = counts.sum(axis=0)
    seen = np.abs(log_odds(mine, whole - mine, alpha)) - _ROUNDING
    flat = counts.reshape(units * labels, features)
    hits = np.zeros((labels, features))
    for size in _batches(permutations, units * labels):
        chosen = np.zeros((size, units, labels))
        np.put_along_axis(chosen, rng.integers(labels, size=(size, units))[:, :, None], 1.0, axis=2)
        first = chosen.reshape(size, -1) @ flat
        drawn = np.sort(np.abs(log_odds(first, whole - first, alpha)), axis=0)
        for feature in range(features):
            hits[:, feature] += size - np.searchsorted(drawn[:, feature], seen[:, feature], side="left")
    p: Floats = (hits + 1) / (permutations + 1)
    return p


def between_units_tests(
    counts: ArrayLike,
    member: ArrayLike,
    prior: ArrayLike,
    *,
    rng: np.random.Generator,
    baseline: ArrayLike | None = None,
    permutations: int = 9_999,
) -> Floats:
    """Two-sided tests of one group of units against the others, by permuting who is in the group.

    The statistic is studentised with the spread of the units (Janssen 1997; Chung & Romano 2013), so that the test
    keeps its size where the smaller group is the more varied, and where a baseline differs between the groups but is
    not exceeded.

    Args:
        counts: shape (units, features).
        member: which units are in the group, shape (units,).
        prior: pseudo-counts, shape (features,).
        rng: source of the permutations.
        baseline: counts that the log-odds are held against, such as those of the units' own histories, likewise.
        permutations: how many.

    Returns:
        p-values, not corrected, (features,).

    Raises:
        ValueError: fewer than two units in the group or outside it.
    """
    y, inside, alpha = np.asarray(counts, dtype=np.float64), np.asarray(member, dtype=bool), np.asarray(prior)
    sides = [y] if baseline is None else [y, np.asarray(baseline, dtype=np.float64)]
    if inside.shape != y.shape[:1] or min(inside.sum(), (~inside).sum()) < 2:
        raise ValueError(f"member: {inside.sum()} units in the group and {(~inside).sum()} outside; 2 are needed each")
    draws = [inside[None, :].astype(np.float64)]
    for size in _batches(permutations, len(inside)):
        draws.append(rng.permuted(np.tile(inside.astype(np.float64), (size, 1)), axis=1))
    p = np.ones(y.shape[1])
    for feature in range(y.shape[1]):
        # Per unit, of each side, the counts of the feature and of all others.
        x = np.stack([c for side in sides for c in (side[:, feature], side.sum(axis=1) - side[:, feature])], axis=1)
        drawn = np.concatenate([_studentised(w, x, alpha, feature) for w in draws])
        p[feature] = (np.count_nonzero(np.abs(drawn[1:]) >= abs(drawn[0]) - _ROUNDING) + 1) / (permutations + 1)
    return p


def _studentised(inside: Floats, x: Floats, prior: Floats, feature: int) -> Floats:
    """Log-odds over its standard error, for several ways to form the group, (R,)."""
    pairs = list(combinations_with_replacement(range(x.shape[1]), 2))
    moments = np.concatenate([x, np.stack([x[:, i] * x[:, j] for i, j in pairs], axis=1)], axis=1)
    here = inside @ moments
    sizes = inside.sum(axis=1)
    delta, variance = np.zeros(len(inside)), np.zeros(len(inside))
    pseudo = np.array([prior[feature], prior.sum() - prior[feature]])
    for sign, sums, n in ((1.0, here, sizes), (-1.0, moments.sum(axis=0) - here, x.shape[0] - sizes)):
        with_prior = sums[:, : x.shape[1]] + np.tile(pseudo, x.shape[1] // 2)
        if np.any(with_prior <= 0):
            return np.zeros(len(inside))  # a feature that nobody has, or that is all there is
        # Of the second side, the baseline, everything counts negative.
        toward = np.array([1.0, -1.0, -1.0, 1.0])[: x.shape[1]]
        delta += sign * (np.log(with_prior) @ toward)
        slope = toward / with_prior  # d(log-odds) / d(sum)
        square = sum(
            (1.0 if i == j else 2.0) * slope[:, i] * slope[:, j] * sums[:, x.shape[1] + at]
            for at, (i, j) in enumerate(pairs)
        )
        mean = (slope * sums[:, : x.shape[1]]).sum(axis=1)
        variance += n / (n - 1) * np.maximum(square - mean**2 / n, 0.0)
    ratio: Floats = np.divide(delta, np.sqrt(variance), out=np.zeros_like(delta), where=variance > 1e-24)
    return ratio


def association_values(
    first: ArrayLike, second: ArrayLike, prior: ArrayLike, *, baseline: tuple[ArrayLike, ArrayLike] | None = None
) -> Floats:
    """What each unit contributes to each log-odds ratio: numbers whose mean is the ratio.

    The influence of the unit (the derivative of the ratio along its counts), centred. A unit that is only in one group
    is held against the mean of its own group.

    Args:
        first: counts of each unit in the first group, shape (units, features); 0 for a unit that is not in it.
        second: in the second group, likewise.
        prior: pseudo-counts, shape (features,).
        baseline: counts of the same units, in both groups, whose log-odds ratio is subtracted.

    Returns:
        (units, features).
    """
    sides = [(1.0, first, second)] if baseline is None else [(1.0, first, second), (-1.0, *baseline)]
    alpha = np.asarray(prior, dtype=np.float64)
    total, influence = np.zeros(len(alpha)), np.zeros(np.shape(first))
    for sign, one, other in sides:
        total = total + sign * log_odds(np.sum(one, axis=0), np.sum(other, axis=0), alpha)
        for toward, part in ((sign, one), (-sign, other)):
            counts = np.asarray(part, dtype=np.float64)
            inside = counts.sum(axis=1) > 0
            if not inside.any():
                continue
            rest = counts.sum(axis=1, keepdims=True) - counts
            with np.errstate(divide="ignore", invalid="ignore"):
                moved = counts / (counts.sum(axis=0) + alpha) - rest / (rest.sum(axis=0) + alpha.sum() - alpha)
            moved = np.nan_to_num(moved, posinf=0.0, neginf=0.0)
            influence[inside] += toward * (moved[inside] - moved[inside].mean(axis=0))
    values: Floats = total + len(influence) * influence
    return values


def association_interval(
    first: ArrayLike,
    second: ArrayLike,
    feature: int,
    prior: ArrayLike,
    *,
    rng: np.random.Generator,
    baseline: tuple[ArrayLike, ArrayLike] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Bootstrap interval over units of one log-odds ratio; the prior stays as it is.

    Args:
        first: as for `association_values`.
        second: likewise.
        feature: index of the feature.
        prior: pseudo-counts, shape (features,).
        rng: source of the draws.
        baseline: see `association_values`.
        level: coverage.
        resamples: how many.
    """
    alpha = np.asarray(prior, dtype=np.float64)
    sides = [(1.0, first), (-1.0, second)]
    if baseline is not None:
        sides += [(-1.0, baseline[0]), (1.0, baseline[1])]
    columns = []
    for _, part in sides:
        counts = np.asarray(part, dtype=np.float64)
        columns += [counts[:, feature], counts.sum(axis=1)]
    x = np.stack(columns, axis=1)

    def statistic(weights: Floats) -> Floats:
        sums = weights @ x
        result = np.zeros(len(weights))
        for at, (sign, _) in enumerate(sides):
            here, total = sums[:, 2 * at] + alpha[feature], sums[:, 2 * at + 1] + alpha.sum()
            result += sign * _log_ratio(here, total)
        return result

    return bootstrap(statistic, len(x), rng=rng, level=level, resamples=resamples)


def _batches(permutations: int, width: int) -> Iterator[int]:
    if permutations < 1:
        raise ValueError(f"permutations: {permutations}; use at least 1, and 9999 for a report")
    size = max(1, _MAX_CELLS // max(width, 1))
    for start in range(0, permutations, size):
        yield min(size, permutations - start)


def permutations_for(tests: int, alpha: float = 0.05) -> int:
    """Permutations that let one test among so many be significant once corrected: 2 · tests / alpha, 9,999 or more."""
    return max(9_999, math.ceil(2 * tests / alpha))
