"""The accounts, against the table of the specification, measured once with opacus' own calibration, and by formula."""

from __future__ import annotations

import math

import pytest

from audit.errors import ConfigError
from defenses.dp.accounting import Account, calibrate, check_delta, group_privacy

# (users, batch, epochs): by ε, σ of PRV and of RDP at δ = 1 / (10 users).
TABLE = {
    (943, 32, 5): {1: (1.592, 1.738), 3: (0.884, 0.953), 8: (0.601, 0.643)},
    (6040, 64, 3): {1: (1.030, 1.172), 3: (0.702, 0.759), 8: (0.510, 0.543)},
    (6040, 256, 5): {1: (1.953, 2.109), 3: (1.010, 1.082), 8: (0.664, 0.706)},
    (100_000, 1024, 3): {1: (1.128, 1.289), 3: (0.762, 0.819), 8: (0.547, 0.579)},
}
CASES = [(*key, eps, *sigmas) for key, by in TABLE.items() for eps, sigmas in by.items()]


@pytest.mark.parametrize(("users", "batch", "epochs", "epsilon", "prv", "rdp"), CASES)
def test_the_table_of_the_specification(
    users: int, batch: int, epochs: int, epsilon: float, prv: float, rdp: float
) -> None:
    # ε falls as σ grows: the σ that is wanted lies within 1 % if ε does on both sides of it.
    steps = int(epochs * users / batch)
    for accountant, sigma in (("prv", prv), ("rdp", rdp)):
        less, more = (
            Account(sigma * by, batch / users, steps).epsilon(1 / (10 * users), accountant) for by in (0.99, 1.01)
        )
        assert more < epsilon < less


def test_calibration_finds_the_noise_of_the_table_and_stays_below_the_target() -> None:
    given = {"rate": 256 / 6040, "steps": 117, "delta": 1 / 60400}
    prv = calibrate(epsilon=1, **given)
    assert prv == pytest.approx(1.953, rel=0.01)
    assert 0.98 < Account(prv, 256 / 6040, 117).epsilon(1 / 60400) <= 1
    assert calibrate(epsilon=8, accountant="rdp", **given) == pytest.approx(0.706, rel=0.01)


def test_the_same_run_by_both_accountants() -> None:
    by = Account(1.0, 64 / 6040, 283).epsilons(1 / 60400)
    assert by["prv"] == pytest.approx(1.066, rel=0.01)
    assert by["rdp"] == pytest.approx(1.421, rel=0.01)


def test_without_noise_there_is_no_epsilon_and_without_steps_no_cost() -> None:
    assert calibrate(epsilon=math.inf, delta=1e-4, rate=0.1, steps=10) == 0.0
    assert Account(0.0, 0.1, 10).epsilon(1e-4) == math.inf
    assert Account(1.0, 0.1, 0).epsilons(1e-4) == {"prv": 0.0, "rdp": 0.0}


@pytest.mark.parametrize(("size", "epsilon", "delta"), [(1, 1, 1e-6), (5, 5, 2.7e-4), (10, 10, 0.081), (20, 20, 1.0)])
def test_a_group_of_rows(size: int, epsilon: float, delta: float) -> None:
    found = group_privacy(1.0, 1e-6, size)
    assert found[0] == pytest.approx(epsilon)
    assert found[1] == pytest.approx(delta, rel=0.02)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, math.nan])
def test_delta_is_a_small_chance(delta: float) -> None:
    with pytest.raises(ConfigError, match=r"dp\.delta"):
        check_delta(delta)


def test_delta_must_be_less_than_one_unit() -> None:
    with pytest.raises(ConfigError, match=r"not below 1/100.*0\.001 or less"):
        check_delta(0.01, 100)
    check_delta(0.009, 100)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, 101.0])
def test_epsilon_is_positive_and_says_something(epsilon: float) -> None:
    with pytest.raises(ConfigError, match=r"dp\.epsilon"):
        calibrate(epsilon=epsilon, delta=1e-4, rate=0.1, steps=10)
