"""Thresholds of detectors: the promise is kept on fresh clean data, and small samples promise less."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit import stats


@pytest.mark.parametrize(("n", "fpr"), [(50, 0.1), (199, 0.01), (400, 0.05)])
def test_fresh_clean_units_exceed_it_as_seldom_as_promised(n: int, fpr: float) -> None:
    rng = np.random.default_rng(3)
    repeats = 4000
    alarms = sum(
        rng.standard_normal() > stats.threshold_at_fpr(rng.standard_normal(n), fpr).value for _ in range(repeats)
    )
    promised = stats.threshold_at_fpr(np.arange(n), fpr).fpr
    assert promised <= fpr + 1e-12
    # For continuous values the promise is exact, so the count is binomial around it.
    assert abs(alarms - repeats * promised) < 4 * math.sqrt(repeats * promised)


def test_too_few_values_promise_what_they_can() -> None:
    threshold = stats.threshold_at_fpr([3.0, 1.0, 2.0], 0.01)
    assert threshold.value == 3.0
    assert threshold.fpr == pytest.approx(0.25)


def test_99_values_are_just_enough_for_one_percent() -> None:
    assert stats.threshold_at_fpr(np.arange(99), 0.01) == (98.0, pytest.approx(0.01))
    assert stats.threshold_at_fpr(np.arange(98), 0.01).fpr > 0.01


def test_ties_are_no_alarms() -> None:
    assert stats.threshold_at_fpr(np.zeros(100), 0.05).value == 0.0


@pytest.mark.parametrize(("values", "fpr"), [([], 0.1), ([1.0, math.nan], 0.1), ([1.0], 0.0), ([1.0], 1.0)])
def test_bad_input_is_refused(values: list[float], fpr: float) -> None:
    with pytest.raises(ValueError, match=r"clean|fpr"):
        stats.threshold_at_fpr(values, fpr)
