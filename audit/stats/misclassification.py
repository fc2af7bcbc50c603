"""Rates that an imperfect checker found, corrected for its errors.

A checker that misses errors shows too few of them, one that raises false alarms too many. Where its sensitivity and
specificity were measured on a sample of known truth, the true rate can be estimated from the one it shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.stats.intervals import Interval
from audit.stats.resampling import as_values, check_same_length, cluster_rate

Floats = NDArray[np.float64]

LEAST_YOUDEN = 0.1
"""At sensitivity + specificity - 1 of this or less the correction divides by next to nothing: the checker cannot tell
true from false, and no corrected rate is given."""

_MAX_CELLS = 1 << 20


@dataclass(frozen=True)
class CheckerSample:
    """What a checker did on a sample of known truth, in counts per unit (such as an answer).

    Attributes:
        positives: trials that truly are what is counted (such as false claims), shape (n,).
        found: of those, how many the checker found.
        negatives: trials that truly are not, shape (n,).
        passed: of those, how many the checker let pass.
    """

    positives: Floats
    found: Floats
    negatives: Floats
    passed: Floats

    @classmethod
    def of(cls, positives: ArrayLike, found: ArrayLike, negatives: ArrayLike, passed: ArrayLike) -> CheckerSample:
        """From anything like arrays, checked.

        Raises:
            ValueError: lengths differ, or a count does not fit.
        """
        arrays = {
            "positives": as_values(positives, "positives"),
            "found": as_values(found, "found"),
            "negatives": as_values(negatives, "negatives"),
            "passed": as_values(passed, "passed"),
        }
        check_same_length(**arrays)
        for part, whole in (("found", "positives"), ("passed", "negatives")):
            if np.any(arrays[part] < 0) or np.any(arrays[part] > arrays[whole]):
                raise ValueError(f"{part}: every unit needs between 0 and as many as it has {whole}")
        return cls(**arrays)


@dataclass(frozen=True)
class CorrectedRate:
    """A rate as the checker showed it, and corrected for the checker's errors. Report both.

    Attributes:
        raw: as it was shown.
        corrected: Rogan and Gladen's estimate; None where `reason` says why there is none.
        sensitivity: share of true cases that the checker finds; None where its sample has none.
        specificity: share of others that it lets pass; None where its sample has none.
        reason: why nothing could be corrected, as a sentence; empty where it could.
    """

    raw: Interval
    corrected: Interval | None
    sensitivity: Interval | None
    specificity: Interval | None
    reason: str = ""


def rogan_gladen(observed: ArrayLike, sensitivity: ArrayLike, specificity: ArrayLike) -> Floats:
    """The true rate behind an observed one, clipped to [0, 1] (Rogan & Gladen, Am. J. Epidemiol. 107, 1978).

    `(observed + specificity - 1) / (sensitivity + specificity - 1)`; the arguments broadcast.

    Returns:
        The rate; NaN where sensitivity + specificity is 1, because such a checker says nothing.
    """
    shown, sens, spec = (np.asarray(x, dtype=np.float64) for x in (observed, sensitivity, specificity))
    youden = sens + spec - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(youden == 0.0, np.nan, (shown + spec - 1.0) / youden)
    return np.clip(rate, 0.0, 1.0)


def corrected_rate(
    successes_per_unit: ArrayLike,
    trials_per_unit: ArrayLike,
    checker: CheckerSample,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> CorrectedRate:
    """Correct a rate over trials that are nested in units; the interval comes from a bootstrap over both samples.

    Units of the audited sample and of the checker's sample are drawn independently of each other, whole, and the
    corrected rate is computed from each pair of draws; its interval is the bias-corrected and accelerated one for
    several samples (Davison & Hinkley 1997, section 5.3.2), with the influence of every unit in closed form. Percentile
    intervals missed a true rate of .1 in 5.8% of simulations with 100 answers, and too high ones more often than too
    low ones. A rate that is clipped has percentile intervals: its influences say nothing. A sample in which all units
    have the same rate (a checker without an error) would show no variation; there each draw comes from Jeffreys'
    posterior of a rate with as many trials as there are units, so that an error not seen is not taken for one that
    cannot happen.

    The correction holds as far as the checker errs in the audited answers as it did in its own sample. Planted errors
    are easier to find than natural ones, so a corrected rate is still likely to be too low rather than too high.

    Args:
        successes_per_unit: trials that the checker counted, shape (n,).
        trials_per_unit: trials, in the same order, shape (n,); units without any are left out.
        checker: its own sample.
        rng: source of the draws.
        level: confidence level.
        resamples: number of pairs of draws; those whose checker is no better than chance are dropped and counted.

    Raises:
        ValueError: the counts do not fit, or there is no rate to correct.
    """
    raw = cluster_rate(successes_per_unit, trials_per_unit, rng=rng, level=level, resamples=resamples)
    sens = _rate(checker.found, checker.positives, rng, level, resamples)
    spec = _rate(checker.passed, checker.negatives, rng, level, resamples)
    if sens is None or spec is None:
        what = "errors" if sens is None else "correct cases"
        return CorrectedRate(
            raw, None, sens, spec, f"the checker's sample holds no {what}, so nothing can be corrected"
        )
    youden = sens.estimate + spec.estimate - 1.0
    # Rounded, so that .6 + .5 - 1 is .1.
    if round(youden, 9) <= LEAST_YOUDEN:
        reason = (
            f"checker not good enough: its sensitivity {sens.estimate:.2f} and specificity {spec.estimate:.2f} "
            f"add up to {sens.estimate + spec.estimate:.2f}, and above {1 + LEAST_YOUDEN:.1f} is needed"
        )
        return CorrectedRate(raw, None, sens, spec, reason)
    shown = _drawn(as_values(successes_per_unit, "successes"), as_values(trials_per_unit, "trials"), rng, resamples)
    # Sensitivity and specificity come from the same answers, so they are drawn together.
    found, passed = _drawn_together(checker, rng, resamples)
    usable = found + passed - 1.0 > 0.0
    drawn = rogan_gladen(shown, found, passed)[usable & np.isfinite(shown)]
    estimate = float(rogan_gladen(raw.estimate, sens.estimate, spec.estimate))
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if 0.0 < estimate < 1.0:
        audited = as_values(successes_per_unit, "successes"), as_values(trials_per_unit, "trials")
        tails = _accelerated(tails, drawn, estimate, _acceleration(*audited, checker, estimate, youden))
    low, high = (float(q) for q in np.quantile(drawn, tails))
    interval = Interval(
        estimate, min(low, estimate), max(high, estimate), level, "rogan-gladen-bootstrap", resamples - len(drawn)
    )
    return CorrectedRate(raw, interval, sens, spec)


def _acceleration(hits: Floats, trials: Floats, checker: CheckerSample, rate: float, youden: float) -> float:
    """Skewness of the influences of all units: `(1/6) sum n^-3 sum l^3 / (sum n^-2 sum l^2)^(3/2)` over the samples.

    The corrected rate moves by 1/J with the rate shown, by -rate/J with sensitivity, and by (1 - rate)/J with
    specificity, where J is sensitivity + specificity - 1.
    """
    uses = (checker.positives + checker.negatives) > 0
    found = _influences(checker.found[uses], checker.positives[uses])
    passed = _influences(checker.passed[uses], checker.negatives[uses])
    samples = (
        _influences(hits[trials > 0], trials[trials > 0]) / youden,
        (-rate * found + (1.0 - rate) * passed) / youden,
    )
    square = sum(float((one**2).sum()) / len(one) ** 2 for one in samples)
    cube = sum(float((one**3).sum()) / len(one) ** 3 for one in samples)
    return cube / (6.0 * square**1.5) if square > 0 else 0.0


def _influences(hits: Floats, trials: Floats) -> Floats:
    """How far each unit pulls the rate sum(hits) / sum(trials)."""
    moved: Floats = (hits - hits.sum() / trials.sum() * trials) / trials.mean()
    return moved


def _accelerated(tails: Floats, drawn: Floats, estimate: float, acceleration: float) -> Floats:
    """Which quantiles of the draws make the interval; draws equal to the estimate count half."""
    from scipy.special import ndtr, ndtri

    near = np.isclose(drawn, estimate, rtol=1e-12, atol=0.0)
    share = (np.count_nonzero((drawn < estimate) & ~near) + 0.5 * np.count_nonzero(near)) / len(drawn)
    edge = 0.5 / len(drawn)
    bias = ndtri(np.clip(share, edge, 1.0 - edge))
    z = bias + ndtri(tails)
    moved: Floats = ndtr(bias + z / np.maximum(1.0 - acceleration * z, 1e-9))
    return moved


def _rate(hits: Floats, trials: Floats, rng: np.random.Generator, level: float, resamples: int) -> Interval | None:
    if trials.sum() == 0:
        return None
    if np.count_nonzero(trials) == 1:
        # One unit shows no variation between units, so nothing is known of it.
        return Interval(float(hits.sum() / trials.sum()), 0.0, 1.0, level, "one-unit")
    return cluster_rate(hits, trials, rng=rng, level=level, resamples=resamples)


def _drawn(hits: Floats, trials: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    """Rates of resamples of whole units, shape (resamples,)."""
    hits, trials = hits[trials > 0], trials[trials > 0]
    if _constant(hits, trials):
        return _unseen(hits, trials, rng, resamples)
    return _ratios(_weights(len(trials), rng, resamples), hits, trials)


def _drawn_together(checker: CheckerSample, rng: np.random.Generator, resamples: int) -> tuple[Floats, Floats]:
    pairs = ((checker.found, checker.positives), (checker.passed, checker.negatives))
    uses = (checker.positives + checker.negatives) > 0
    weights = _weights(int(uses.sum()), rng, resamples)
    first, second = (
        _unseen(hits[trials > 0], trials[trials > 0], rng, resamples)
        if _constant(hits[trials > 0], trials[trials > 0])
        else _ratios(weights, hits[uses], trials[uses])
        for hits, trials in pairs
    )
    return first, second


def _constant(hits: Floats, trials: Floats) -> bool:
    """Whether all units have the same rate, so that drawing units would show no variation."""
    return bool(np.ptp(hits / trials) < 1e-12)


def _unseen(hits: Floats, trials: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    units, rate = len(trials), float(hits.sum() / trials.sum())
    drawn: Floats = rng.beta(0.5 + units * rate, 0.5 + units * (1.0 - rate), size=resamples)
    return drawn


def _weights(units: int, rng: np.random.Generator, resamples: int) -> list[NDArray[np.int64]]:
    """How often each unit was drawn, in batches of resamples."""
    rows = max(1, _MAX_CELLS // units)
    batches = []
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        picks = rng.integers(0, units, size=(size, units)) + np.arange(0, size * units, units)[:, None]
        counts = np.bincount(picks.ravel(), minlength=size * units)
        batches.append(counts.reshape(size, units))
    return batches


def _ratios(weights: list[NDArray[np.int64]], hits: Floats, trials: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.concatenate([(batch @ hits) / (batch @ trials) for batch in weights])
