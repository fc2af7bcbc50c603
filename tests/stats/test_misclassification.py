"""Corrected rates: the published formula, known truths, checkers that tell nothing, and coverage."""

from __future__ import annotations

import numpy as np
import pytest

from audit import stats
from audit.stats import CheckerSample, corrected_rate, rogan_gladen


def sample(sensitivity=(90, 100), specificity=(196, 200)):
    """A checker's sample of one trial per unit with these counts."""
    found, positives = sensitivity
    passed, negatives = specificity
    true = np.r_[np.ones(positives), np.zeros(negatives)]
    return CheckerSample.of(
        true,
        np.r_[np.arange(positives) < found, np.zeros(negatives)],
        1 - true,
        np.r_[np.zeros(positives), np.arange(negatives) < passed],
    )


@pytest.mark.parametrize(
    ("observed", "sensitivity", "specificity", "true"),
    [
        # By hand: 20 % are ill, 80 % of them found, 10 % of the others: .2 × .8 + .8 × .1 = .24.
        (0.24, 0.8, 0.9, 0.2),
        (0.5, 1.0, 1.0, 0.5),
        (0.05, 0.8, 0.9, 0.0),  # fewer than its false alarms alone: clipped
        (0.95, 0.8, 0.9, 1.0),
    ],
)
def test_the_formula(observed, sensitivity, specificity, true):
    assert rogan_gladen(observed, sensitivity, specificity) == pytest.approx(true)


def test_a_checker_that_tells_nothing_has_no_rate():
    assert np.isnan(rogan_gladen(0.3, 0.5, 0.5))


def test_raw_and_corrected_are_both_there():
    found = corrected_rate([2, 1, 0, 3, 2, 1] * 10, [5] * 60, sample(), rng=np.random.default_rng(0))
    assert found.raw.estimate == pytest.approx(0.3)
    assert found.corrected is not None
    assert found.corrected.estimate == pytest.approx((0.3 + 0.98 - 1) / (0.9 + 0.98 - 1))
    assert found.sensitivity.estimate == pytest.approx(0.9)
    assert found.specificity.estimate == pytest.approx(0.98)
    assert found.corrected.high - found.corrected.low > found.raw.high - found.raw.low


@pytest.mark.parametrize(("passed", "enough"), [(100, False), (102, True)])
def test_a_checker_near_chance_is_not_good_enough(passed, enough):
    found = corrected_rate(
        [1, 0, 2, 1], [4] * 4, sample((60, 100), (passed, 200)), rng=np.random.default_rng(0), resamples=200
    )
    assert (found.corrected is not None) == enough
    if not enough:
        assert found.reason.startswith("checker not good enough: its sensitivity 0.60 and specificity 0.50")
    assert found.raw.estimate == 0.25


def test_a_checker_never_tried_on_errors_corrects_nothing():
    found = corrected_rate([1, 0], [2, 2], sample((0, 0)), rng=np.random.default_rng(0), resamples=100)
    assert found.corrected is None
    assert "holds no errors" in found.reason


def test_a_flawless_checker_is_not_taken_as_certain():
    found = corrected_rate([0] * 50, [5] * 50, sample((30, 30), (60, 60)), rng=np.random.default_rng(0))
    assert found.corrected.estimate == 0.0
    assert found.corrected.high > 0.02


def test_answers_of_one_rate_are_not_taken_as_certain():
    found = corrected_rate([1] * 20, [5] * 20, sample((30, 30), (60, 60)), rng=np.random.default_rng(0))
    assert found.corrected is not None
    assert found.corrected.estimate == pytest.approx(0.2)
    assert found.corrected.low < 0.1
    assert found.corrected.high > 0.3


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="found: every unit"):
        CheckerSample.of([1], [2], [0], [0])


@pytest.mark.parametrize(
    ("true", "sensitivity", "specificity", "spread"),
    [
        (0.1, 0.9, 0.98, 0.0),
        (0.3, 0.8, 0.9, 0.0),
        (0.02, 0.95, 0.99, 0.0),
        (0.1, 1.0, 1.0, 0.0),
        (0.1, 0.85, 0.97, 0.2),
    ],
)
def test_intervals_cover_the_truth(true, sensitivity, specificity, spread):
    """Answers of five claims, which resemble each other by `spread`; a checker tried on 150 errors, 900 others."""
    rng, hits, repetitions = np.random.default_rng(11), 0, 300
    for _ in range(repetitions):
        share = (1 - spread) / spread if spread else 0
        rates = rng.beta(true * share, (1 - true) * share, 100) if spread else np.full(100, true)
        false = rng.binomial(5, rates)
        shown = rng.binomial(false, sensitivity) + rng.binomial(5 - false, 1 - specificity)
        errors, others = np.repeat([1, 0], 150), np.full(300, 3)
        checker = CheckerSample.of(errors, rng.binomial(errors, sensitivity), others, rng.binomial(others, specificity))
        found = corrected_rate(shown, np.full(100, 5), checker, rng=rng, resamples=300)
        hits += found.corrected.contains(true)
    # Nominal .95; 300 repetitions are exact to ± .025, and percentile intervals are a little narrow.
    assert 0.91 <= hits / repetitions <= 0.99


def test_the_raw_rate_does_not_cover_where_the_corrected_one_does():
    rng = np.random.default_rng(3)
    false = rng.binomial(20, 0.3, 200)
    shown = rng.binomial(false, 0.6) + rng.binomial(20 - false, 0.02)
    found = corrected_rate(shown, np.full(200, 20), sample((60, 100), (196, 200)), rng=rng)
    assert not found.raw.contains(0.3)
    assert found.corrected.contains(0.3)
    assert stats.CorrectedRate is type(found)
