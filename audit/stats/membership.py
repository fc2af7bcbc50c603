"""How well a score tells members of a training set from others.

An AUC alone says little: a leak that gives away one member in fifty for sure leaves it near one half. So the true
positive rate at a low false positive rate stands beside it (Carlini et al., "Membership Inference Attacks From First
Principles", S&P 2022), which a sample can only resolve down to one over the number of those outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.stats.discrimination import auc
from audit.stats.intervals import Interval, clopper_pearson, normal_quantile, wilson
from audit.stats.resampling import Floats, as_values, check_same_length


@dataclass(frozen=True)
class TprAtFpr:
    """The share of members found where few others are accused.

    Attributes:
        interval: Clopper–Pearson, of the true positive rate at this threshold.
        threshold: whoever scores above it is called a member.
        allowed: others above the threshold.
        outside: how many others there are.
        found: members above the threshold.
    """

    interval: Interval
    threshold: float
    allowed: int
    outside: int
    found: int


@dataclass(frozen=True)
class Advantage:
    """True minus false positive rate at a threshold that was chosen on other units.

    Attributes:
        interval: of the difference of the two rates (Newcombe's hybrid score interval).
        threshold: whoever scores above it is called a member.
        tpr: true positive rate.
        fpr: false positive rate.
        inside: members judged.
        outside: others judged.
    """

    interval: Interval
    threshold: float
    tpr: float
    fpr: float
    inside: int
    outside: int

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the rates at which members and others are told right."""
        return (1.0 + self.tpr - self.fpr) / 2.0


def membership_auc(inside: ArrayLike, outside: ArrayLike, level: float = 0.95) -> Interval:
    """AUC of independent units, with a score interval that keeps its width at perfect separation.

    The interval holds every θ for which |AUC - θ| <= z·SE(θ), with the standard error of Hanley and McNeil at θ itself
    (Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann–Whitney statistic", part 2,
    method 5). A bootstrap or DeLong's variance has no width where no other outscores a member.

    Args:
        inside: scores of members, higher for members, shape (m,).
        outside: scores of others, shape (n,).
        level: confidence level.

    Raises:
        ValueError: a side is empty, or a score is not finite.
    """
    a, b = _sides(inside, outside)
    estimate = auc(np.concatenate([a, b]), np.repeat([1, 0], [len(a), len(b)]))
    z = normal_quantile(level)

    def reach(theta: float) -> float:
        return z * _hanley_mcneil(theta, len(a), len(b))

    return Interval(
        estimate,
        _end(lambda theta: estimate - theta - reach(theta), 0.0, estimate),
        _end(lambda theta: theta - estimate - reach(theta), 1.0, estimate),
        level,
        "newcombe",
    )


def placements(inside: ArrayLike, outside: ArrayLike) -> Floats:
    """For each member the share of others that score lower, ties counting half, (m,); their mean is the AUC."""
    a, b = _sides(inside, outside)
    ordered = np.sort(b)
    below = np.searchsorted(ordered, a, side="left") + np.searchsorted(ordered, a, side="right")
    result: Floats = below / (2.0 * len(b))
    return result


def membership_test(
    scores: ArrayLike,
    members: ArrayLike,
    units: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    permutations: int = 10_000,
) -> float:
    """Chance of so high an AUC if the coin of the split had nothing to do with the scores: a permutation of units.

    Rows of a unit stay together, for the coin was thrown once for all of them.

    Args:
        scores: higher for members, (rows,).
        members: 1 or 0 per row; the same for all rows of a unit.
        units: whose row it is; None where each row is a unit.
        rng: source of the permutations.
        permutations: how many.

    Returns:
        One-sided p, at least 1 / (permutations + 1).

    Raises:
        ValueError: lengths differ, a class is missing, or a unit is on both sides.
    """
    from scipy.stats import rankdata

    s, y = as_values(scores, "scores"), as_values(members, "members")
    check_same_length(scores=s, members=y)
    _, unit = np.unique(np.arange(len(s)) if units is None else np.asarray(units), return_inverse=True)
    check_same_length(scores=s, units=unit)
    rows = np.bincount(unit).astype(np.float64)
    share = np.bincount(unit, weights=y) / rows
    if np.any((share != 0) & (share != 1)):
        raise ValueError("members: a unit is on both sides; all rows of a unit belong to one")
    if share.min() == share.max():
        raise ValueError("members: units of both sides are needed")
    ranks = np.bincount(unit, weights=rankdata(s))

    def areas(label: NDArray[np.float64]) -> Floats:
        n = label @ rows
        result: Floats = (label @ ranks - n * (n + 1) / 2.0) / (n * (len(s) - n))
        return result

    observed = float(areas(share[None, :])[0])
    at_least, left = 0, permutations
    while left:
        size = min(left, max(1, 4_000_000 // len(share)))
        label = rng.permuted(np.broadcast_to(share, (size, len(share))), axis=1)
        # Equal areas must count as equal, whatever the rounding of sums in another order.
        at_least += int(np.count_nonzero(areas(label) >= observed - 1e-12))
        left -= size
    return (at_least + 1) / (permutations + 1)


def resolvable(fpr: float, outside: int) -> bool:
    """Whether so many others can show a false positive rate as low as this: at least one of them may be accused."""
    return outside * fpr >= 1.0 - 1e-9


def tpr_at_fpr(inside: ArrayLike, outside: ArrayLike, fpr: float, level: float = 0.95) -> TprAtFpr | None:
    """True positive rate at a false positive rate, of independent units; None where so few others cannot resolve it.

    The threshold depends on the others alone, so that members are independent of it and Clopper–Pearson holds.

    Args:
        inside: scores of members, (m,).
        outside: scores of others, (n,).
        fpr: highest false positive rate among them, above 0 and below 1.
        level: confidence level.

    Raises:
        ValueError: a side is empty, a score is not finite, or `fpr` is out of range.
    """
    if not 0.0 < fpr < 1.0:
        raise ValueError(f"fpr: {fpr} must be between 0 and 1, such as .01")
    a, b = _sides(inside, outside)
    if not resolvable(fpr, len(b)):
        return None
    allowed = math.floor(fpr * len(b) + 1e-9)
    threshold = float(np.sort(b)[::-1][allowed])
    found = int(np.count_nonzero(a > threshold))
    above = int(np.count_nonzero(b > threshold))
    return TprAtFpr(clopper_pearson(found, len(a), level), threshold, above, len(b), found)


@dataclass(frozen=True)
class RocBand:
    """A receiver operating characteristic with a pointwise band.

    Attributes:
        fpr: shares of the others above a threshold, rising from 0 to 1, (points,).
        tpr: shares of the members above it, (points,).
        low: lower ends of the Clopper–Pearson intervals of `tpr`, (points,).
        high: upper ends, (points,).
    """

    fpr: Floats
    tpr: Floats
    low: Floats
    high: Floats


def roc_band(inside: ArrayLike, outside: ArrayLike, level: float = 0.95, *, points: int = 60) -> RocBand:
    """What share of members is found at each share of others accused.

    Every threshold is the score of another, so that members are independent of it and Clopper–Pearson holds at each
    point; the band is not simultaneous. Where there are more thresholds than `points`, those that are kept are evenly
    spread on a logarithmic scale, since what matters happens at few accused (Carlini et al., S&P 2022).

    Args:
        inside: scores of members, (m,).
        outside: scores of others, (n,).
        level: confidence level of each point.
        points: the most that are kept.

    Raises:
        ValueError: a side is empty, or a score is not finite.
    """
    a, b = _sides(inside, outside)
    accused = np.unique(np.concatenate([np.arange(min(points // 3, len(b)) + 1), np.geomspace(1, len(b), points)]))
    ordered = np.sort(b)[::-1]
    # Of n others accused the threshold is the score of the next: as in `tpr_at_fpr`, ties accuse fewer.
    thresholds = [*(float(ordered[int(n)]) for n in accused if int(n) < len(b)), -np.inf]
    above = sorted({(int(np.count_nonzero(b > t)), int(np.count_nonzero(a > t))) for t in thresholds})
    bands = [clopper_pearson(found, len(a), level) for _, found in above]
    return RocBand(
        np.array([n / len(b) for n, _ in above]),
        np.array([found / len(a) for _, found in above]),
        np.array([band.low for band in bands]),
        np.array([band.high for band in bands]),
    )


def held_out_advantage(
    inside: ArrayLike, outside: ArrayLike, *, rng: np.random.Generator, level: float = 0.95
) -> Advantage:
    """Advantage (TPR - FPR) at the threshold that was best on one half, measured on the other.

    The best threshold of the very units that are reported finds an advantage where there is none.

    Args:
        inside: scores of members, at least four.
        outside: scores of others, at least four.
        rng: draws the halves.
        level: confidence level.

    Raises:
        ValueError: a side has fewer than four scores.
    """
    a, b = _sides(inside, outside)
    (a_fit, a_test), (b_fit, b_test) = halves(a, rng), halves(b, rng)
    thresholds = np.unique(np.concatenate([[-math.inf], a_fit, b_fit]))
    gains = _above(a_fit, thresholds) / len(a_fit) - _above(b_fit, thresholds) / len(b_fit)
    threshold = float(thresholds[int(np.argmax(gains))])
    found, accused = int(np.count_nonzero(a_test > threshold)), int(np.count_nonzero(b_test > threshold))
    t, f = wilson(found, len(a_test), level), wilson(accused, len(b_test), level)
    difference = t.estimate - f.estimate
    low = difference - math.hypot(t.estimate - t.low, f.high - f.estimate)
    high = difference + math.hypot(t.high - t.estimate, f.estimate - f.low)
    interval = Interval(difference, max(low, -1.0), min(high, 1.0), level, "newcombe-difference")
    return Advantage(interval, threshold, t.estimate, f.estimate, len(a_test), len(b_test))


def minimum_detectable_auc(inside: int, outside: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """How far above one half an AUC must lie for so many units to show it, by the one-sided test of Mann and Whitney.

    Raises:
        ValueError: a side is empty.
    """
    if inside < 1 or outside < 1:
        raise ValueError(f"inside, outside: {inside} and {outside} units; both are needed")
    z = normal_quantile(1.0 - 2.0 * alpha) + normal_quantile(2.0 * power - 1.0)
    return min(0.5, z * math.sqrt((inside + outside + 1.0) / (12.0 * inside * outside)))


def halves(values: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Some values in two random halves, the second the larger of an odd number.

    Raises:
        ValueError: there are fewer than four.
    """
    if len(values) < 4:
        raise ValueError(f"values: {len(values)} units; a threshold and its test need at least 4 of each side")
    order = rng.permutation(len(values))
    return values[order[: len(values) // 2]], values[order[len(values) // 2 :]]


def _above(values: Floats, thresholds: Floats) -> Floats:
    result: Floats = (len(values) - np.searchsorted(np.sort(values), thresholds, side="right")).astype(np.float64)
    return result


def _sides(inside: ArrayLike, outside: ArrayLike) -> tuple[Floats, Floats]:
    a, b = as_values(inside, "inside"), as_values(outside, "outside")
    if not len(a) or not len(b):
        raise ValueError(f"inside, outside: {len(a)} and {len(b)} scores; members and others are both needed")
    return a, b


def _hanley_mcneil(theta: float, m: int, n: int) -> float:
    """Standard error of an AUC of θ, with the mean of both sample sizes in place of each (Newcombe's method 5)."""
    extra = (m + n) / 2.0 - 1.0
    variance = theta * (1 - theta) * (1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)) / (m * n)
    return math.sqrt(max(variance, 0.0))


def _end(gap: Callable[[float], float], edge: float, estimate: float) -> float:
    """Where a gap that is positive at the edge and not at the estimate changes its sign; the edge if it never does."""
    outer, inner = edge, estimate
    if gap(outer) <= 0:
        return outer
    for _ in range(60):
        middle = (outer + inner) / 2.0
        outer, inner = (middle, inner) if gap(middle) > 0 else (outer, middle)
    return inner
