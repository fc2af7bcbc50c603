"""Groups of units: sizes of the permutation tests, power, adjusted gaps against a textbook formula, shrinkage."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from audit import stats

SETS = 300


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_few_units_give_the_exact_permutation_p() -> None:
    values, member = np.array([3.0, 5.5, 1.0, 0.5, 2.0, 4.0, 9.0]), np.array([1, 1, 0, 0, 0, 1, 0], dtype=bool)

    def welch(chosen: tuple[int, ...]) -> float:
        a, b = values[list(chosen)], np.delete(values, list(chosen))
        return abs(a.mean() - b.mean()) / np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))

    observed = welch((0, 1, 5))
    exact = np.mean([welch(c) >= observed - 1e-9 for c in combinations(range(7), 3)])
    assert stats.group_difference_test(values, member, rng=rng(), permutations=20_000) == pytest.approx(
        exact, abs=0.012
    )


def test_size_holds_where_one_group_is_small_and_varies_more() -> None:
    draw, member = rng(1), np.arange(100) >= 70
    rejected = [
        stats.group_difference_test(
            np.concatenate([draw.normal(0, 1, 70), draw.normal(0, 3, 30)]), member, rng=draw, permutations=199
        )
        <= 0.05
        for _ in range(SETS)
    ]
    assert 0.02 <= np.mean(rejected) <= 0.08


def test_groups_that_are_wholly_apart_are_told_apart() -> None:
    # Welch's t is infinite where neither side varies; so it is only in the two labellings that separate them.
    values, member = [1.0] * 30 + [0.0] * 30, [True] * 30 + [False] * 30
    assert stats.group_difference_test(values, member, rng=np.random.default_rng(0), permutations=999) == 1 / 1000


def test_strata_and_covariates_explain_what_they_explain() -> None:
    draw = rng(2)
    found = []
    for _ in range(SETS):
        stratum = draw.integers(0, 5, 200)
        member = draw.random(200) < 0.2 + 0.12 * stratum
        values = 2.0 * stratum + draw.normal(0, 1, 200)
        found.append(
            (
                stats.group_difference_test(values, member, rng=draw, permutations=199) <= 0.05,
                stats.group_difference_test(values, member, rng=draw, strata=stratum, permutations=199) <= 0.05,
                stats.adjusted_difference(values, member, stratum)[1] <= 0.05,
            )
        )
    plain, stratified, adjusted = np.mean(found, axis=0)
    assert plain > 0.9
    assert 0.02 <= stratified <= 0.08
    assert 0.02 <= adjusted <= 0.08


def test_power_is_what_the_design_promises() -> None:
    draw, member = rng(3), np.arange(120) < 40
    effect = stats.minimum_detectable_group_difference(1.0, 40, 80)
    assert effect == pytest.approx(2.80 * np.sqrt(1 / 40 + 1 / 80), rel=1e-3)
    found = [
        stats.group_difference_test(draw.normal(0, 1, 120) + effect * member, member, rng=draw, permutations=199)
        <= 0.05
        for _ in range(200)
    ]
    assert 0.7 <= np.mean(found) <= 0.9


def test_the_sheet_s_resolution_of_ml100k() -> None:
    assert stats.minimum_detectable_group_difference(1.0, 670, 273) == pytest.approx(0.201, abs=0.001)


def test_a_spread_is_read_above_its_floor() -> None:
    draw = rng(4)
    nulls = [
        stats.group_spread_test(
            (draw.random(150) < 0.1).astype(float), draw.integers(0, 6, 150), rng=draw, permutations=199
        ).p
        <= 0.05
        for _ in range(SETS)
    ]
    assert 0.01 <= np.mean(nulls) <= 0.08
    groups = np.repeat(np.arange(6), 40)
    planted = stats.group_spread_test(draw.normal(0, 0.3, 240) + 0.3 * (groups == 3), groups, rng=draw)
    assert planted.p < 0.01
    assert planted.value > planted.floor > 0.05


def test_many_small_groups_spread_by_chance_as_in_the_sheet() -> None:
    sizes = (
        196,
        105,
        95,
        79,
        67,
        66,
        51,
        45,
        40,
        36,
        32,
        28,
        26,
        18,
        16,
        14,
        12,
        12,
        9,
        7,
        7,
    )  # occupations of ML-100K
    draw, groups = rng(5), np.repeat(np.arange(21), sizes)
    floors = [
        stats.group_spread_test(draw.normal(0, 0.3, len(groups)), groups, rng=draw, permutations=99).floor
        for _ in range(20)
    ]
    assert np.mean(floors) == pytest.approx(0.263, abs=0.02)


def test_hc3_against_its_definition() -> None:
    draw = rng(6)
    member, x = draw.random(60) < 0.4, draw.normal(0, 1, 60)
    y = 0.5 * member + x + draw.normal(0, 1 + member, 60)
    interval, p = stats.adjusted_difference(y, member, x)
    design = np.column_stack([np.ones(60), member, x])
    beta, *_ = np.linalg.lstsq(design, y, rcond=None)
    hat = design @ np.linalg.pinv(design)
    left_out = (y - design @ beta) / (1 - np.diag(hat))
    bread = np.linalg.inv(design.T @ design)
    error = np.sqrt((bread @ (design.T * left_out**2) @ design @ bread)[1, 1])
    assert interval.estimate == pytest.approx(beta[1])
    assert (interval.high - interval.low) / 2 / error == pytest.approx(2.0025, abs=0.001)  # t(57) at 97.5 %
    assert 0 < p < 1


def test_an_interval_covers_the_planted_gap() -> None:
    draw, member = rng(7), np.arange(90) < 30
    covered = []
    for _ in range(200):
        values = draw.normal(0, 1, 90) + 0.4 * member
        covered.append(stats.group_difference(values, member, rng=draw, resamples=400).contains(0.4))
    assert 0.9 <= np.mean(covered) <= 0.98


def test_noise_is_shrunk_away_and_signal_is_kept() -> None:
    estimates = np.array([0.1, 0.12, 0.4, 0.08])
    kept = stats.shrunken(estimates, np.full(4, 1e-6))
    assert kept == pytest.approx(estimates, abs=1e-3)
    pulled = stats.shrunken(estimates, np.full(4, 1.0))
    assert pulled == pytest.approx(np.full(4, estimates.mean()))
    mixed = stats.shrunken([0.0, 1.0, 0.5], [0.01, 0.01, 10.0])
    assert mixed[2] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: stats.group_difference([1.0, 2.0], [True, True], rng=rng()), "one unit in the group and one outside"),
        (lambda: stats.group_difference_test([1.0, np.nan], [True, False], rng=rng()), "not a finite number"),
        (lambda: stats.group_spread_test([1.0, 2.0], ["a", "a"], rng=rng()), "at least 2 groups"),
        (lambda: stats.adjusted_difference([1.0, 2.0, 3.0], [1, 0, 0], [1.0, 2.0, 3.0]), "too few"),
        (lambda: stats.adjusted_difference(np.arange(9.0), np.arange(9) < 4, np.arange(9) < 4), "tell exactly"),
        (lambda: stats.minimum_detectable_group_difference(1.0, 0, 5), "at least 1"),
        (lambda: stats.shrunken([1.0], [0.0]), "above 0"),
    ],
)
def test_bad_input_is_one_sentence(call: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()  # type: ignore[operator]


def test_what_does_not_vary_is_no_finding() -> None:
    assert stats.group_difference_test(np.ones(20), np.arange(20) < 5, rng=rng()) == 1.0
