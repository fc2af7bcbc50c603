"""Calibration error by hand and Brier against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from audit.stats import brier, expected_calibration_error


def test_by_hand():
    # Bins {.1, .2} and {.6, .9}: |.15 - .5| and |.75 - 1|, each half of the mass.
    assert expected_calibration_error([0.9, 0.1, 0.6, 0.2], [1, 0, 1, 1], bins=2) == pytest.approx(0.3)
    # One bin is the gap of the means; a bin per row is the mean absolute error.
    assert expected_calibration_error([0.9, 0.1, 0.6, 0.2], [1, 0, 1, 1], bins=1) == pytest.approx(0.3)
    assert expected_calibration_error([0.9, 0.1, 0.6, 0.2], [1, 0, 1, 1], bins=99) == pytest.approx(1.4 / 4)


def test_a_calibrated_predictor_is_near_zero_and_an_overconfident_one_is_not():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    y = (rng.uniform(size=20_000) < p).astype(int)
    assert expected_calibration_error(p, y) < 0.02
    # Pushed to the ends, |p' - p| is 1/4 on average.
    assert expected_calibration_error((p > 0.5).astype(float), y) == pytest.approx(0.25, abs=0.02)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(0, 1)), min_size=1, max_size=40))
def test_order_of_tied_rows_does_not_matter_and_brier_equals_scikit_learn(table):
    p, y = map(np.array, zip(*table, strict=True))
    forward = expected_calibration_error(p, y, bins=4)
    assert 0 <= forward <= 1
    assert expected_calibration_error(p[::-1], y[::-1], bins=4) == pytest.approx(forward)
    assert brier(p, y) == pytest.approx(brier_score_loss(y, p, pos_label=1))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no row"):
        brier([], [])
    with pytest.raises(ValueError, match="outside"):
        brier([1.2], [1])
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        brier([0.2], [3])
    with pytest.raises(ValueError, match="bins: 0"):
        expected_calibration_error([0.2], [1], bins=0)
