"""Lower bounds of ε from attacks that succeed: what a training must have given away at least.

They are bounds, never estimates: an attack that finds nothing proves nothing. Two roads: rates of one threshold
(Jagielski, Ullman and Oprea, "Auditing Differentially Private Machine Learning", NeurIPS 2020), and guesses about many
units of one training run (Steinke, Nasr and Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# scipy.special, not scipy.stats: the latter takes most of a second to import.
from scipy.special import bdtr, bdtrc, betaincinv

from audit.stats.intervals import check_level
from audit.stats.membership import halves
from audit.stats.resampling import Floats, as_values, check_same_length

MOST = 100.0
"""ε beyond which nothing is told apart."""


@dataclass(frozen=True)
class EpsilonBound:
    """ε is at least this, at a level of confidence.

    Attributes:
        epsilon: the bound; 0 where nothing is proven.
        ceiling: the most that so many units could have proven, had the attack been perfect.
        level: confidence.
        method: `two-hypothesis` or `one-run`.
        detail: the counts it rests on, in words.
    """

    epsilon: float
    ceiling: float
    level: float
    method: str
    detail: str = ""


def two_hypothesis_epsilon(
    found: int, inside: int, accused: int, outside: int, *, delta: float = 0.0, level: float = 0.95
) -> float:
    """ε that the rates of one threshold prove.

    With TPR >= t and FPR <= f, each by Clopper–Pearson at half of the error: the largest of 0, ln((t - δ) / f) and
    ln((1 - f - δ) / (1 - t)). The threshold must have been fixed without these units. Strictly, every unit needs a
    training of its own; with many units of one training it is a heuristic.

    Args:
        found: members called members.
        inside: members.
        accused: others called members.
        outside: others.
        delta: δ.
        level: confidence of the bound.

    Raises:
        ValueError: counts that do not fit, or δ out of range.
    """
    _check(delta, level)
    if not (0 <= found <= inside and 0 <= accused <= outside and inside and outside):
        raise ValueError(f"counts: {found} of {inside} and {accused} of {outside} are no rates; both need units")
    return float(_bounds(np.array([found]), inside, np.array([accused]), outside, delta, level)[0])


def held_out_epsilon(
    inside: ArrayLike,
    outside: ArrayLike,
    *,
    delta: float = 0.0,
    level: float = 0.95,
    rng: np.random.Generator,
) -> EpsilonBound:
    """Two-hypothesis bound with the score and the threshold chosen on one half and judged on the other.

    Args:
        inside: scores of members, (scores, m): one row per score that may be used; or (m,).
        outside: scores of others, (scores, n) or (n,).
        delta: δ.
        level: confidence of the bound.
        rng: draws the halves.

    Raises:
        ValueError: a side has fewer than four units, the scores do not match, or δ is out of range.
    """
    _check(delta, level)
    a, b = np.atleast_2d(np.asarray(inside, np.float64)), np.atleast_2d(np.asarray(outside, np.float64))
    if len(a) != len(b) or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("inside, outside: both need the same scores, and all of them finite")
    (fit_a, test_a), (fit_b, test_b) = (halves(np.arange(s.shape[1]).astype(np.float64), rng) for s in (a, b))
    best, choice = -1.0, (0, math.inf)
    for number in range(len(a)):
        fitted_a, fitted_b = a[number, fit_a.astype(int)], b[number, fit_b.astype(int)]
        thresholds = _thresholds(fitted_a, fitted_b)
        tp, fp = _above(fitted_a, thresholds), _above(fitted_b, thresholds)
        gains = _bounds(tp, len(fit_a), fp, len(fit_b), delta, level)
        # Ties of the bound are settled by the difference of the rates, so that a half that proves nothing by itself
        # still chooses what separates best.
        gains += 1e-3 * (tp / len(fit_a) - fp / len(fit_b))
        at = int(np.argmax(gains))
        if gains[at] > best:
            best, choice = float(gains[at]), (number, float(thresholds[at]))
    number, threshold = choice
    found = int(np.count_nonzero(a[number, test_a.astype(int)] > threshold))
    accused = int(np.count_nonzero(b[number, test_b.astype(int)] > threshold))
    m, n = len(test_a), len(test_b)
    return EpsilonBound(
        two_hypothesis_epsilon(found, m, accused, n, delta=delta, level=level),
        two_hypothesis_epsilon(m, m, 0, n, delta=delta, level=level),
        level,
        "two-hypothesis",
        f"{found} of {m} members and {accused} of {n} others above a threshold that was chosen on other units",
    )


def one_run_p(units: int, guesses: int, right: int, epsilon: float, *, delta: float = 0.0) -> float:
    """Chance of so many right guesses if the training were (ε, δ)-private: the theorem of Steinke et al. 2023.

    Args:
        units: m, each in the training by a fair coin of its own.
        guesses: r, units that were guessed about; the others were left alone.
        right: v, guesses that were right.
        epsilon: ε.
        delta: δ.

    Returns:
        p = P[W >= v] + 2 m δ max over 1 <= i <= v of P[v - i <= W < v] / i, at most 1, where W ~ Bin(r, q) with
        q = e^ε / (1 + e^ε).

    Raises:
        ValueError: counts that do not fit, or ε or δ out of range.
    """
    if not 0 <= right <= guesses <= units or units < 1:
        raise ValueError(f"counts: right {right} <= guesses {guesses} <= units {units} must hold, and a unit be there")
    if not epsilon >= 0.0 or not 0.0 <= delta < 1.0:
        raise ValueError(f"epsilon, delta: {epsilon}, {delta}; ε must be at least 0 and δ at least 0 and below 1")
    chance = 1.0 / (1.0 + math.exp(-epsilon))
    p = 1.0 if right == 0 else float(bdtrc(right - 1, guesses, chance))
    if delta > 0.0 and right:
        # P[W <= v - i - 1] for i = 1 … v; below 0 there is nothing.
        under = np.append(bdtr(np.arange(right - 2, -1, -1), guesses, chance), 0.0)
        between = float(bdtr(right - 1, guesses, chance)) - under
        p += 2.0 * units * delta * float(np.max(between / np.arange(1, right + 1)))
    return min(p, 1.0)


def one_run_epsilon(units: int, guesses: int, right: int, *, delta: float = 0.0, level: float = 0.95) -> float:
    """Largest ε that the guesses of one run rule out: for which `one_run_p` is below 1 - level; 0 where none is.

    The number of guesses must have been fixed before looking. Arguments and errors as for `one_run_p`.
    """
    _check(delta, level)
    alpha = 1.0 - level
    if one_run_p(units, guesses, right, 0.0, delta=delta) >= alpha:
        return 0.0
    low, high = 0.0, MOST
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if one_run_p(units, guesses, right, middle, delta=delta) < alpha else (low, middle)
    return low


@dataclass(frozen=True)
class Guesses:
    """Guesses about who was trained on.

    Attributes:
        made: how many.
        right: of them.
    """

    made: int
    right: int


def guess(scores: ArrayLike, members: ArrayLike, share: float) -> Guesses:
    """Guess that the highest scores were in and the lowest out, as many of each, and leave the rest alone.

    Ties at the edge are settled by the order of the units, which knows nothing of the coin.

    Args:
        scores: higher for members, (m,).
        members: 1 or 0, (m,).
        share: of the units that are guessed about, above 0 and at most 1.

    Raises:
        ValueError: lengths differ, or `share` is out of range.
    """
    s, y = as_values(scores, "scores"), as_values(members, "members")
    check_same_length(scores=s, members=y)
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share: {share} must be above 0 and at most 1")
    each = max(1, math.floor(share * len(s) / 2.0))
    order = np.argsort(-s, kind="stable")
    right = int(np.count_nonzero(y[order[:each]] == 1) + np.count_nonzero(y[order[len(s) - each :]] == 0))
    return Guesses(2 * each, right)


def one_run_bound(
    scores: ArrayLike,
    members: ArrayLike,
    *,
    delta: float = 0.0,
    level: float = 0.95,
    shares: Sequence[float] = (1.0, 0.2),
) -> EpsilonBound:
    """The best one-run bound over some numbers of guesses, each at its part of the error (Bonferroni).

    Args:
        scores: higher for members, (m,); one score, fixed before looking.
        members: 1 or 0, (m,), by an independent fair coin each.
        delta: δ.
        level: confidence of the bound.
        shares: of the units that are guessed about.

    Raises:
        ValueError: see `guess`; or no share.
    """
    if not shares:
        raise ValueError("shares: at least one share of the units must be guessed about")
    m = len(np.asarray(scores))
    part = 1.0 - (1.0 - level) / len(shares)
    tried = [guess(scores, members, share) for share in shares]
    bounds = [one_run_epsilon(m, g.made, g.right, delta=delta, level=part) for g in tried]
    best = int(np.argmax(bounds))
    ceiling = max(one_run_epsilon(m, g.made, g.made, delta=delta, level=part) for g in tried)
    detail = f"{tried[best].right} of {tried[best].made} guesses about {m} units are right"
    return EpsilonBound(bounds[best], ceiling, level, "one-run", detail)


def one_run_test(
    scores: ArrayLike,
    members: ArrayLike,
    epsilon: float,
    *,
    delta: float = 0.0,
    shares: Sequence[float] = (1.0, 0.2),
) -> float:
    """P of the claim that the training is (ε, δ)-private: the least over the shares, times their number, at most 1."""
    tried = [guess(scores, members, share) for share in shares]
    m = len(np.asarray(scores))
    return min(1.0, len(tried) * min(one_run_p(m, g.made, g.right, epsilon, delta=delta) for g in tried))


def fair_coin_p(inside: int, outside: int) -> float:
    """Two-sided chance of so uneven a split by fair coins; the one-run bound is for fair coins only."""
    from scipy.stats import binomtest

    return float(binomtest(inside, inside + outside, 0.5).pvalue)


def _thresholds(a: Floats, b: Floats, most: int = 200) -> Floats:
    """Where to cut: between the scores seen, at most so many of them."""
    seen = np.unique(np.concatenate([a, b]))
    if len(seen) < 2:
        return seen
    cuts: Floats = (seen[:-1] + seen[1:]) / 2.0
    if len(cuts) > most:
        # Few of both ends are needed finely: a low false positive rate lies at the very end.
        cuts = np.unique(np.concatenate([cuts[:20], cuts[-80:], np.quantile(cuts, np.linspace(0, 1, most - 100))]))
    return cuts


def _above(values: Floats, thresholds: Floats) -> Floats:
    result: Floats = (len(values) - np.searchsorted(np.sort(values), thresholds, side="right")).astype(np.float64)
    return result


def _bounds(found: ArrayLike, inside: int, accused: ArrayLike, outside: int, delta: float, level: float) -> Floats:
    """The two-hypothesis bound at several thresholds, (n,)."""
    tp, fp = np.asarray(found, np.float64), np.asarray(accused, np.float64)
    tail = (1.0 - level) / 2.0
    # Clopper–Pearson; where there is no success, or no failure, the end is exact.
    t = np.where(tp > 0, betaincinv(np.maximum(tp, 1.0), inside - tp + 1.0, tail), 0.0)
    f = np.where(fp < outside, betaincinv(fp + 1.0, np.maximum(outside - fp, 1.0), 1.0 - tail), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.where(t > delta, np.log((t - delta) / f), 0.0)
        other = np.where(1.0 - f > delta, np.log((1.0 - f - delta) / (1.0 - t)), 0.0)
    result: Floats = np.maximum(0.0, np.maximum(one, other))
    return result


def _check(delta: float, level: float) -> None:
    check_level(level)
    if not 0.0 <= delta < 1.0:
        raise ValueError(f"delta: {delta} must be at least 0 and below 1")
