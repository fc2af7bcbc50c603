"""Equivalence: how often it is claimed wrongly, and how often it is found."""

from __future__ import annotations

import numpy as np
import pytest

from audit.stats import equivalence

SETS = 400


def share_equivalent(draw: object, margin: float) -> float:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(SETS):
        found = equivalence(draw(rng), margin, rng=rng, resamples=499, bounds=(-1.0, 1.0))  # type: ignore[operator]
        assert (found.p < 0.05) == (found.interval.high < margin and found.interval.low > -margin) or (
            abs(found.p - 0.05) < 0.01
        )
        hits += found.p <= 0.05
    return hits / SETS


@pytest.mark.parametrize(
    ("draw", "least"),
    [
        (lambda rng: np.clip(rng.normal(0.02, 0.05, 60), -1, 1), 0.02),
        (lambda rng: np.clip(rng.exponential(0.02, 60), 0, 1), 0.01),
        # One user in fifty gets an altogether different list, the others the same: a t-test would claim equivalence in
        # every fifth sample: with one such user among 150 or none.
        (lambda rng: (rng.random(150) < 0.02).astype(float), 0.0),
        (lambda rng: (rng.random(100) < 0.1) * 0.2, 0.0),
    ],
)
def test_at_the_margin_it_is_claimed_in_at_most_five_of_a_hundred(draw: object, least: float) -> None:
    rate = share_equivalent(draw, 0.02)
    assert least <= rate <= 0.08


def test_it_is_found_where_it_is() -> None:
    assert share_equivalent(lambda rng: np.clip(rng.normal(0.0, 0.05, 100), -1, 1), 0.02) > 0.9
    assert share_equivalent(lambda rng: np.clip(rng.normal(0.1, 0.05, 100), -1, 1), 0.02) == 0.0


def test_no_difference_at_all_needs_149_units() -> None:
    rng = np.random.default_rng(0)
    # A share q of users that differ altogether goes unseen among n with chance (1 - q)^n: .98^149 = .0493.
    enough, few = (equivalence(np.zeros(n), 0.02, rng=rng, bounds=(-1.0, 1.0)) for n in (149, 148))
    assert enough.p == pytest.approx(0.98**149)
    assert enough.interval.high < 0.02
    assert few.p > 0.05
    assert few.interval.high > 0.02
    assert equivalence(np.zeros(1000), 0.02, rng=rng).p == 1.0, "without bounds equal values show nothing"
    assert equivalence(np.full(1000, 0.5), 0.02, rng=rng, bounds=(-1.0, 1.0)).p == 1.0


def test_on_plain_data_it_agrees_with_two_t_tests() -> None:
    from scipy.stats import ttest_1samp

    x = np.random.default_rng(1).normal(0.01, 0.05, 200)
    found = equivalence(x, 0.02, rng=np.random.default_rng(2))
    reference = max(
        ttest_1samp(x, 0.02, alternative="less").pvalue, ttest_1samp(x, -0.02, alternative="greater").pvalue
    )
    assert found.p == pytest.approx(reference, abs=0.01)


@pytest.mark.parametrize(
    ("values", "margin", "message"),
    [([0.1], 0.02, "at least 2 units"), ([0.1, 0.2], 0.0, "must be above 0"), ([0.1, 3.0], 0.02, "outside the bounds")],
)
def test_bad_input(values: list[float], margin: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        equivalence(values, margin, rng=np.random.default_rng(0), bounds=(-1.0, 1.0))
