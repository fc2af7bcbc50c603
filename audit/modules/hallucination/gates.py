"""Whether the checker can be believed, and what its errors do to a rate: used beside every figure of the module."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit import stats
from audit.claims.benchmark.scoring import STATES, VERDICTS, Bound, CheckerAudit
from audit.stats import CheckerSample, Interval

LEAST_EXISTENCE_F1 = 0.95
LEAST_PRECISION = 0.9
MOST_FALSE_ALARMS = 0.02
MOST_UNDECIDED = 0.05
"""Share of titles that may be left undecided: F1 is over the others, and a checker that never decides would shine."""
LEAST_CLAIMS = 1000
"""Planted claims that a checker is audited on at least."""


@dataclass(frozen=True)
class Scores:
    """Counts per answer of one class.

    Attributes:
        true: of the class and found, shape (answers,).
        false: found and not of the class.
        missed: of the class and not found.
    """

    true: NDArray[np.int64]
    false: NDArray[np.int64]
    missed: NDArray[np.int64]

    def precision(self, rng: np.random.Generator, level: float, resamples: int) -> Interval | None:
        """Share of what was found that is of the class; None where nothing was found."""
        return rate(self.true, self.true + self.false, rng, level, resamples)

    def recall(self, rng: np.random.Generator, level: float, resamples: int) -> Interval | None:
        """Share of the class that was found; None where there is none."""
        return rate(self.true, self.true + self.missed, rng, level, resamples)

    def f1(self, rng: np.random.Generator, level: float, resamples: int) -> Interval | None:
        """Harmonic mean of the two, 2 true / (2 true + false + missed), which is a rate over answers too."""
        return rate(2 * self.true, 2 * self.true + self.false + self.missed, rng, level, resamples)

    @property
    def all(self) -> NDArray[np.int64]:
        """What F1 is over, per answer."""
        return self.true + self.false + self.missed

    @property
    def f1_estimate(self) -> float:
        """F1 without its interval; 0 where nothing was found."""
        whole = 2 * self.true.sum() + self.false.sum() + self.missed.sum()
        return float(2 * self.true.sum() / whole) if whole else 0.0


def contradicted(audit: CheckerAudit, rows: NDArray[np.bool_] | None = None) -> Scores:
    """Claims that are false, end to end: what was not extracted was not found."""
    return Scores(*audit.contradicted(rows))


def invented(audit: CheckerAudit, bound: Bound = "decided", rows: NDArray[np.bool_] | None = None) -> Scores:
    """Titles that are nobody's."""
    return Scores(*audit.invented(bound, rows))


def undecided(audit: CheckerAudit) -> tuple[int, int]:
    """Titles found to be near an item and not tied to it, and all titles."""
    return int(audit.existence[:, :, STATES.index("ambiguous")].sum()), int(audit.existence.sum())


def false_alarms(audit: CheckerAudit) -> NDArray[np.int64]:
    """Of each clean answer, whether anything in it was held against it."""
    return np.array([int(read.alarms > 0) for read in audit.reads if not read.answer.kind], dtype=np.int64)


def gate(audit: CheckerAudit) -> tuple[str, ...]:
    """Why this checker's figures should not be concluded from: phrases for `Finding.unmet`, none if it is good enough.

    Limits on: what `title_gate` asks; precision of `contradicted`; and clean answers with a false alarm.
    """
    claims, alarms = contradicted(audit), false_alarms(audit)
    found = int(claims.true.sum() + claims.false.sum())
    precision = float(claims.true.sum() / found) if found else 0.0
    reasons = [*title_gate(audit)]
    if precision < LEAST_PRECISION:
        share = f"{precision:.0%} of what the checker rules contradicted is" if found else "nothing was ruled"
        reasons.append(f"in planted answers, {share} contradicted in truth, and {LEAST_PRECISION:.0%} is needed")
    if len(alarms) and alarms.mean() > MOST_FALSE_ALARMS:
        reasons.append(
            f"the checker finds something wrong in {alarms.mean():.1%} of answers without an error, "
            f"and at most {MOST_FALSE_ALARMS:.0%} is allowed"
        )
    return tuple(reasons)


def title_gate(audit: CheckerAudit) -> tuple[str, ...]:
    """Why the checker's figures on titles should not be concluded from; see `gate`.

    Limits on: F1 of titles that are nobody's, among those decided, of which there must be enough; and the number of
    planted claims all of this rests on.
    """
    existence, (near, titles) = invented(audit).f1_estimate, undecided(audit)
    reasons = []
    if audit.planted < LEAST_CLAIMS:
        reasons.append(f"the checker was audited on {audit.planted:,} planted claims, and {LEAST_CLAIMS:,} are needed")
    if existence < LEAST_EXISTENCE_F1:
        reasons.append(
            f"the checker tells made-up titles from items with an F1 of {existence:.2f}, "
            f"and {LEAST_EXISTENCE_F1:g} is needed"
        )
    if near > MOST_UNDECIDED * titles:
        reasons.append(
            f"the checker leaves {near / titles:.0%} of titles undecided, and at most {MOST_UNDECIDED:.0%} are allowed"
        )
    return tuple(reasons)


def claim_sample(audit: CheckerAudit) -> CheckerSample:
    """The checker's sample for correcting the contradicted rate of claims (`stats.corrected_rate`).

    Only claims that were extracted, those that nobody planted among them: the rate to be corrected is one over
    extracted claims too.
    """
    counts = audit.confusion[:, :, : len(VERDICTS)]
    false = counts[:, 1]
    true = counts[:, 0] + counts[:, 2] + audit.extra
    return CheckerSample.of(false.sum(axis=1), false[:, 1], true.sum(axis=1), true[:, [0, 2]].sum(axis=1))


def title_sample(audit: CheckerAudit, bound: Bound) -> CheckerSample:
    """The checker's sample for correcting the hallucinated item rate at one of its bounds; titles that were read.

    With the bound `decided` titles near an item are left out, as they must be from the rate that is corrected.
    """
    counts = audit.existence[:, :, : STATES.index("unread")]
    flags = [STATES.index("absent")] + ([STATES.index("ambiguous")] if bound == "high" else [])
    flagged = counts[:, :, flags].sum(axis=2)
    whole = counts.sum(axis=2)
    if bound == "decided":
        whole = whole - counts[:, :, STATES.index("ambiguous")]
    return CheckerSample.of(whole[:, 1], flagged[:, 1], whole[:, 0], whole[:, 0] - flagged[:, 0])


def rate(
    hits: NDArray[np.int64], trials: NDArray[np.int64], rng: np.random.Generator, level: float, resamples: int
) -> Interval | None:
    """A rate over trials nested in answers; None where there is no trial."""
    units = int(np.count_nonzero(trials))
    if units == 0:
        return None
    if units == 1 and 0 < hits.sum() < trials.sum():
        # A single answer shows no variation between answers, so nothing is known of it.
        return Interval(float(hits.sum() / trials.sum()), 0.0, 1.0, level, "one-unit")
    return stats.cluster_rate(hits, trials, rng=rng, level=level, resamples=resamples)
