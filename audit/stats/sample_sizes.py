"""What this n could have seen, and what n would settle the question."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtr, bdtrik, ndtri, stdtrit

from audit.stats.intervals import Interval, check_level, normal_quantile


def _check_design(alpha: float, power: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha: {alpha} is not between 0 and 1; use .05 for a test at the 5% level")
    if not alpha < power < 1.0:
        raise ValueError(f"power: {power} is not between alpha ({alpha}) and 1; use .8 for four chances in five")


def minimum_detectable_difference(sd: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest mean paired difference that a two-sided test at `alpha` finds with probability `power`.

    (t_{1-α/2, n-1} + t_{power, n-1}) · sd / √n: the usual approximation of the power of the paired t-test, to which
    the sign-flip test is close.

    Args:
        sd: standard deviation of the differences over units.
        n: number of units, at least 2.
        alpha: level of the test.
        power: wanted chance of finding it.

    Returns:
        The difference, in the unit of `sd`.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_design(alpha, power)
    if n < 2:
        raise ValueError(f"n: {n}; a spread needs at least 2 units")
    if not (sd >= 0.0 and math.isfinite(sd)):
        raise ValueError(f"sd: {sd} is not a standard deviation")
    return float(stdtrit(n - 1, 1.0 - alpha / 2.0) + stdtrit(n - 1, power)) * sd / math.sqrt(n)


def minimum_detectable_rate_difference(
    discordant_rate: float, n: int, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest difference of two paired rates that McNemar's test at `alpha` finds with probability `power`.

    Connor 1987: n δ² = (z_α √ψ + z_β √(ψ - δ²))², solved for δ, where ψ is the share of pairs that disagree. δ cannot
    exceed ψ; where the solution does, ψ is taken to be δ itself, that is, every pair that changes changes the same way.
    The exact test is more cautious than this normal approximation when n ψ is below about 20.

    Args:
        discordant_rate: ψ, the share of pairs whose two outcomes disagree, 0 to 1.
        n: number of pairs, at least 1.
        alpha: two-sided level of the test.
        power: wanted chance of finding it.

    Returns:
        δ, 0 to 1; 1 when nothing short of a change in every pair could be seen.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_design(alpha, power)
    if n < 1:
        raise ValueError(f"n: {n}; at least one pair is needed")
    if not 0.0 <= discordant_rate <= 1.0:
        raise ValueError(f"discordant_rate: {discordant_rate} is not within [0, 1]")
    za, zb = normal_quantile(1.0 - alpha), float(ndtri(power))
    if n <= za * za:
        return 1.0
    delta = math.sqrt(discordant_rate) * (za * math.sqrt(n) + zb * math.sqrt(n + zb * zb - za * za)) / (n + zb * zb)
    if delta < discordant_rate:
        return delta
    # ψ = δ turns the equation into a quadratic in x = √(1 - δ): n (1 - x²) = (z_α + z_β x)².
    x = (-za * zb + math.sqrt(za * za * zb * zb + (n + zb * zb) * (n - za * za))) / (n + zb * zb)
    return 1.0 - x * x


def minimum_detectable_exact_mcnemar(
    discordant_rate: float, n: int, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The smallest difference of two paired rates that the exact McNemar test finds with probability `power`.

    Counted out and not approximated: the power is the sum over the number d of pairs that disagree, binomial with
    n and ψ, of the chance that the d pairs split at least as unevenly as the test needs. δ cannot exceed ψ; where ψ
    pairs are too few, ψ is taken to be δ itself, that is, every pair that changes changes the same way.

    Args:
        discordant_rate: ψ, the share of pairs whose two outcomes disagree, 0 to 1.
        n: number of pairs, at least 1.
        alpha: two-sided level of the test.
        power: wanted chance of finding it.

    Returns:
        δ, 0 to 1; None when not even a change of every pair would be significant.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_design(alpha, power)
    if n < 1:
        raise ValueError(f"n: {n}; at least one pair is needed")
    if not 0.0 <= discordant_rate <= 1.0:
        raise ValueError(f"discordant_rate: {discordant_rate} is not within [0, 1]")
    if 2.0 ** (1 - n) > alpha:
        return None
    d = np.arange(n + 1)
    # The largest minority among d pairs that is still significant: 2 P(Bin(d, ½) <= c) <= α; -1 where none is.
    most = np.floor(bdtrik(alpha / 2.0, d, 0.5))
    most = np.where(np.isfinite(most), most, -1.0)
    most = np.where(2.0 * bdtr(np.maximum(most, 0), d, 0.5) <= alpha, most, -1.0)

    def found(delta: float) -> float:
        psi = max(discordant_rate, delta)
        cumulative = bdtr(d, n, psi)
        chance = np.diff(cumulative, prepend=0.0)
        minority = (1.0 - delta / psi) / 2.0
        side = np.where(most >= 0, bdtr(np.maximum(most, 0), d, minority), 0.0)
        other = np.where(most >= 0, bdtr(np.maximum(most, 0), d, 1.0 - minority), 0.0)
        return float(chance @ (side + other))

    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2.0
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high


def required_n_mean(sd: float, effect: float, *, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """The smallest number of units at which `minimum_detectable_difference` is at most |effect|.

    Args:
        sd: standard deviation of the paired differences over units.
        effect: mean difference to find, in the unit of `sd`.
        alpha: level of the test.
        power: wanted chance of finding it.

    Returns:
        The number of units, at least 2, or None for an effect of 0, which no n finds.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_design(alpha, power)
    if not math.isfinite(effect):
        raise ValueError(f"effect: {effect} is not a finite number")
    if effect == 0.0:
        return None
    size = abs(effect)

    def too_few(n: int) -> bool:
        return minimum_detectable_difference(sd, n, alpha=alpha, power=power) > size

    low, high = 1, 2
    while too_few(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if too_few(middle) else (low, middle)
    return high


def required_n_rate(p: float, threshold: float, *, level: float = 0.95) -> int | None:
    """The smallest number of trials at which a Wilson interval around a rate of `p` leaves out `threshold`.

    The Wilson interval holds exactly the rates t that a score test does not reject: |p - t| <= z √(t (1 - t) / n).

    Args:
        p: the rate expected, 0 to 1.
        threshold: the rate it is held against, 0 to 1.
        level: confidence level of the interval.

    Returns:
        The number of trials, or None when p equals the threshold, which no n tells apart.

    Raises:
        ValueError: a rate or the level is out of range.
    """
    for name, rate in (("p", p), ("threshold", threshold)):
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"{name}: {rate} is not a rate within [0, 1]")
    z = normal_quantile(level)
    if p == threshold:
        return None
    return math.floor(z * z * threshold * (1.0 - threshold) / (p - threshold) ** 2) + 1


def n_to_settle(interval: Interval, n: int, threshold: float) -> int | None:
    """About how many units would make this interval leave out the threshold, if the estimate stayed where it is.

    Widths shrink with √n, so n grows with the square of (width on the threshold's side / distance to it).

    Args:
        interval: the interval found with n units.
        n: number of units behind it.
        threshold: the value it is held against.

    Returns:
        The number of units (n itself when the threshold is outside already), or None when the estimate equals the
        threshold or the interval has no width to scale.

    Raises:
        ValueError: n < 1.
    """
    check_level(interval.level)
    if n < 1:
        raise ValueError(f"n: {n}; at least one unit is needed")
    if not interval.contains(threshold):
        return n
    distance = abs(threshold - interval.estimate)
    width = interval.high - interval.estimate if threshold > interval.estimate else interval.estimate - interval.low
    if distance == 0.0 or width == 0.0:
        return None
    return math.floor(n * (width / distance) ** 2) + 1
