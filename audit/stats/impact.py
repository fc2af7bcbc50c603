"""Selection rates of groups: impact ratios, their tests, and what the four-fifths rule does at a given n."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, ndtri

from audit.stats.intervals import Interval, _check_counts, normal_quantile
from audit.stats.resampling import as_values, check_same_length

FOUR_FIFTHS = 0.8
"""29 CFR 1607.4(D): a ratio below is generally regarded as evidence of adverse impact. A rule of thumb, no test."""


def impact_ratio(selected: int, n: int, best_selected: int, best_n: int, level: float = 0.95) -> Interval:
    """Ratio of two independent selection rates, with the interval of its logarithm (Katz et al. 1978).

    ln IR ± z √((1 - p₁) / (n₁ p₁) + (1 - p₂) / (n₂ p₂)). Where nobody, or everybody, was selected the formula has no
    width; half a person is then added to both selected and not selected on both sides (`log-ratio+1/2`).

    Args:
        selected: in the group.
        n: people in the group.
        best_selected: in the group with the highest rate, at least one.
        best_n: people there.
        level: confidence level.

    Raises:
        ValueError: a count does not fit, or nobody was selected in the group compared with.
    """
    _check_counts(selected, n)
    _check_counts(best_selected, best_n)
    if best_selected == 0:
        raise ValueError("best_selected: 0; without a selection in the best group there is no ratio")
    estimate = selected / n / (best_selected / best_n)
    a, m, b, k, method = float(selected), float(n), float(best_selected), float(best_n), "log-ratio"
    if selected in (0, n) or best_selected == best_n:
        a, m, b, k, method = a + 0.5, m + 1.0, b + 0.5, k + 1.0, "log-ratio+1/2"
    centre = math.log(a / m / (b / k))
    half = normal_quantile(level) * math.sqrt(1.0 / a - 1.0 / m + 1.0 / b - 1.0 / k)
    low = 0.0 if selected == 0 else math.exp(centre - half)
    high = math.exp(centre + half)
    return Interval(estimate, min(low, estimate), max(high, estimate), level, method)


def fisher_exact(selected: int, n: int, other_selected: int, other_n: int) -> float:
    """Two-sided p-value of Fisher's exact test that two groups have one selection rate (Fisher 1922).

    The chances of all tables with these margins that are no more likely than the one seen are added. It is cautious:
    with few people it rejects less often than its level.

    Raises:
        ValueError: a count does not fit.
    """
    _check_counts(selected, n)
    _check_counts(other_selected, other_n)
    total, chosen = n + other_n, selected + other_selected
    x = np.arange(max(0, chosen - other_n), min(n, chosen) + 1)
    log_p = _log_choose(n, x) + _log_choose(other_n, chosen - x) - _log_choose(total, np.array([chosen]))
    seen = log_p[x == selected][0]
    return float(min(1.0, np.exp(log_p[log_p <= seen + 1e-7]).sum()))


def _log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return result


def rate_permutation(
    selected: ArrayLike, trials: ArrayLike, member: ArrayLike, *, rng: np.random.Generator, permutations: int = 9_999
) -> float:
    """Two-sided test that a group has the same rate as everybody else, where people have several trials each.

    Membership is exchanged between people, never between trials: those of one person resemble each other.

    Args:
        selected: how often each person was selected, shape (n,).
        trials: how often each was considered, at least once, shape (n,).
        member: which people are in the group, shape (n,); some, and not all.
        rng: source of the permutations.
        permutations: how many.

    Raises:
        ValueError: the lengths differ, or the group holds nobody or everybody.
    """
    hits, tries = as_values(selected, "selected"), as_values(trials, "trials")
    inside = np.asarray(member, dtype=bool)
    check_same_length(selected=hits, trials=tries, member=inside)
    if not inside.any() or inside.all():
        raise ValueError("member: the group holds nobody or everybody, so there is nobody to compare it with")
    count = int(inside.sum())

    def difference(s: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            result: NDArray[np.float64] = np.abs(s / t - (hits.sum() - s) / (tries.sum() - t))
        return np.nan_to_num(result)

    seen = difference(hits[inside].sum()[None], tries[inside].sum()[None])[0]
    reached = 0
    rows = max(1, (1 << 20) // len(hits))
    for start in range(0, permutations, rows):
        size = min(rows, permutations - start)
        picks = np.argpartition(rng.random((size, len(hits))), count - 1, axis=1)[:, :count]
        drawn = difference(hits[picks].sum(axis=1), tries[picks].sum(axis=1))
        reached += int(np.count_nonzero(drawn >= seen - 1e-12))
    return (reached + 1) / (permutations + 1)


def four_fifths_false_alarm(
    counts: ArrayLike, rate: float, *, rng: np.random.Generator, limit: float = FOUR_FIFTHS, draws: int = 20_000
) -> float:
    """How often the bare rule flags a group although all have one rate: P(lowest rate / highest rate < limit).

    Simulated with independent binomial counts.

    Args:
        counts: people per group, at least two groups, shape (groups,).
        rate: the selection rate that all groups have, between 0 and 1.
        rng: source of the draws.
        limit: the ratio below which the rule flags.
        draws: simulated tables.

    Raises:
        ValueError: there are fewer than two groups, an empty one, or the rate is not between 0 and 1.
    """
    n = np.asarray(counts, dtype=np.int64)
    if n.ndim != 1 or len(n) < 2 or np.any(n < 1):
        raise ValueError(f"counts: {n.tolist()}; at least two groups are needed, each with somebody in it")
    if not 0.0 < rate < 1.0:
        raise ValueError(f"rate: {rate} is not between 0 and 1")
    rates = rng.binomial(n, rate, size=(draws, len(n))) / n
    return float(np.mean(rates.min(axis=1) < limit * rates.max(axis=1) - 1e-12))


def n_per_group_for_ratio(rate: float, ratio: float = FOUR_FIFTHS, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """People per group at which a two-sided test tells an impact ratio from 1 with probability `power`.

    (z_{1-α/2} + z_power)² (p₁ (1 - p₁) + p₂ (1 - p₂)) / (p₁ - p₂)², with p₂ = ratio · p₁, rounded up.

    Args:
        rate: selection rate of the better group, between 0 and 1.
        ratio: the impact ratio to be seen, at least 0 and below 1.
        alpha: level of the test.
        power: wanted chance of finding it.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0.0 < rate < 1.0:
        raise ValueError(f"rate: {rate} is not between 0 and 1")
    if not 0.0 <= ratio < 1.0:
        raise ValueError(f"ratio: {ratio} is not at least 0 and below 1")
    if not 0.0 < alpha < 1.0 or not alpha < power < 1.0:
        raise ValueError(f"alpha and power: {alpha} and {power} must lie between 0 and 1, power above alpha")
    z = normal_quantile(1.0 - alpha) + float(ndtri(power))
    other = ratio * rate
    return math.ceil(z * z * (rate * (1 - rate) + other * (1 - other)) / (rate - other) ** 2)


def detectable_ratio(rate: float, n: int, best_n: int, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The impact ratio nearest to 1 that these numbers of people would show; None if not even 0 would show.

    Args:
        rate: selection rate of the better group, between 0 and 1.
        n: people in the group.
        best_n: people in the better one.
        alpha: two-sided level of the test.
        power: wanted chance of finding it.
    """
    z = normal_quantile(1.0 - alpha) + float(ndtri(power))

    def shows(ratio: float) -> bool:
        other = ratio * rate
        return (rate - other) ** 2 >= z * z * (rate * (1 - rate) / best_n + other * (1 - other) / n)

    if not 0.0 < rate < 1.0 or not shows(0.0):
        return None
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if shows(middle) else (low, middle)
    return low
