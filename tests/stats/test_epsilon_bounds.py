"""Lower bounds of ε: the published tables, the authors' own loop, and mechanisms whose ε is known exactly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from audit import stats


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("counts", "epsilon"),
    [
        ((100, 100, 0, 100), 3.28),
        ((1000, 1000, 0, 1000), 5.60),
        ((300, 1000, 10, 1000), 2.70),
        ((50, 1000, 10, 1000), 0.71),
        ((2, 1000, 1, 1000), 0.0),
    ],
)
def test_two_hypotheses_at_the_counts_of_the_sheet(counts, epsilon):
    assert stats.two_hypothesis_epsilon(*counts) == pytest.approx(epsilon, abs=0.005)
    found, inside, accused, outside = counts
    # The bound is the same for the test that calls everybody the other thing.
    mirrored = stats.two_hypothesis_epsilon(outside - accused, outside, inside - found, inside)
    assert mirrored == pytest.approx(epsilon, abs=0.005)


@pytest.mark.parametrize(
    ("units", "guesses", "right", "epsilon"),
    [
        (100, 100, 100, 3.49),
        (100, 20, 20, 1.82),
        (1000, 1000, 1000, 5.78),
        (1000, 1000, 600, 0.30),
        (1000, 200, 180, 1.80),
        (1000, 100, 95, 2.17),
        (1000, 100, 60, 0.05),
    ],
)
def test_one_run_at_the_counts_of_the_sheet(units, guesses, right, epsilon):
    assert stats.one_run_epsilon(units, guesses, right, delta=1e-5) == pytest.approx(epsilon, abs=0.005)


@settings(max_examples=60)
@given(st.integers(1, 60), st.floats(0, 5), st.sampled_from([0.0, 1e-5, 1e-3, 0.05]), st.data())
def test_one_run_equals_the_loop_of_its_authors(units, epsilon, delta, data):
    """Algorithm `p_value_DP_audit` of Steinke et al. 2023, appendix D, as printed."""
    guesses = data.draw(st.integers(0, units))
    right = data.draw(st.integers(0, guesses))
    q = 1 / (1 + math.exp(-epsilon))
    beta, alpha, total = binom.sf(right - 1, guesses, q), 0.0, 0.0
    for i in range(1, right + 1):
        total += binom.pmf(right - i, guesses, q)
        alpha = max(alpha, total / i)
    told = min(beta + alpha * delta * 2 * units, 1)
    assert stats.one_run_p(units, guesses, right, epsilon, delta=delta) == pytest.approx(told, abs=1e-9)


def randomised_response(draw, units, epsilon):
    """Everybody's bit, told truly with probability e^ε / (1 + e^ε): exactly ε, and the worst case of both bounds."""
    bits = draw.random(units) < 0.5
    told = np.where(draw.random(units) < 1 / (1 + math.exp(-epsilon)), bits, ~bits)
    return told.astype(float), bits.astype(float)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
def test_the_bounds_exceed_the_truth_in_one_of_twenty_at_most(epsilon):
    draw, runs, beyond = rng(1), 250, {"one-run": 0, "two-hypothesis": 0}
    for _ in range(runs):
        scores, bits = randomised_response(draw, 200, epsilon)
        one = stats.one_run_bound(scores, bits)
        two = stats.held_out_epsilon(scores[bits == 1], scores[bits == 0], rng=draw)
        for bound in (one, two):
            beyond[bound.method] += bound.epsilon > epsilon
            assert bound.epsilon <= bound.ceiling
    # Three standard errors above .05.
    assert max(beyond.values()) / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_the_bounds_are_not_idle():
    """At ε = 3 and a thousand units both prove most of it; at ε = 8 they stay below their ceilings."""
    draw = rng(2)
    scores, bits = randomised_response(draw, 1000, 3.0)
    assert 2.2 < stats.one_run_bound(scores, bits).epsilon < 3.0
    assert 1.9 < stats.held_out_epsilon(scores[bits == 1], scores[bits == 0], rng=draw).epsilon < 3.2


def test_a_gaussian_mechanism_stays_within_its_epsilon():
    """A unit's bit plus noise of standard deviation σ is exactly (ε, δ(ε))-private (Balle and Wang 2018)."""
    sigma, epsilon = 1.0, 2.0
    delta = norm.cdf(0.5 / sigma - epsilon * sigma) - math.exp(epsilon) * norm.cdf(-0.5 / sigma - epsilon * sigma)
    draw, beyond, runs = rng(3), 0, 100
    for _ in range(runs):
        bits = (draw.random(400) < 0.5).astype(float)
        scores = bits + sigma * draw.normal(size=400)
        beyond += stats.one_run_bound(scores, bits, delta=delta).epsilon > epsilon
        beyond += stats.held_out_epsilon(scores[bits == 1], scores[bits == 0], delta=delta, rng=draw).epsilon > epsilon
    assert beyond / (2 * runs) <= 0.05


def test_the_test_of_a_claim_and_the_bound_say_the_same():
    draw = rng(4)
    scores, bits = randomised_response(draw, 500, 3.0)
    bound = stats.one_run_bound(scores, bits).epsilon
    assert stats.one_run_test(scores, bits, bound - 0.01) < 0.05 < stats.one_run_test(scores, bits, bound + 0.01)


def test_many_scores_may_be_tried_on_the_other_half():
    """Forty useless scores prove nothing; one good one among them is found."""
    draw, wrong = rng(5), 0
    for _ in range(40):
        wrong += stats.held_out_epsilon(draw.normal(size=(40, 60)), draw.normal(size=(40, 60)), rng=draw).epsilon > 0
    assert wrong <= 6
    inside, outside = draw.normal(size=(5, 200)), draw.normal(size=(5, 200))
    inside[3] += 6.0
    assert stats.held_out_epsilon(inside, outside, rng=draw).epsilon > 3.0


def test_uneven_coins_are_seen():
    assert stats.fair_coin_p(80, 20) < 1e-6
    assert stats.fair_coin_p(55, 45) > 0.2


def test_bad_input_is_named_in_epsilon_bounds():
    with pytest.raises(ValueError, match="delta"):
        stats.two_hypothesis_epsilon(1, 2, 0, 2, delta=1.0)
    with pytest.raises(ValueError, match="right 3"):
        stats.one_run_p(4, 2, 3, 1.0)
    with pytest.raises(ValueError, match="same scores"):
        stats.held_out_epsilon(np.zeros((2, 5)), np.zeros((3, 5)), rng=rng())
    with pytest.raises(ValueError, match="share"):
        stats.guess([1.0, 2.0], [1, 0], 0.0)
