"""Gini coefficients, random lists, the gaps of IFairLRS, and unit values: by hand, brute force and nulls."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from audit import stats


def test_gini_of_the_sheet() -> None:
    assert stats.gini([1] + [0] * 9) == pytest.approx(0.9)
    assert stats.gini([1] * 10 + [0] * 90) == pytest.approx(0.9), "items that are never listed count"
    assert stats.gini([1] * 10) == pytest.approx(0.0)


def test_gini_is_half_the_relative_mean_difference() -> None:
    x = np.random.default_rng(0).poisson(3.0, size=40).astype(float)
    by_pairs = np.abs(x[:, None] - x[None, :]).mean() / (2 * x.mean())
    assert stats.gini(x) == pytest.approx(by_pairs)


@pytest.mark.parametrize("bad", [[], [0.0, 0.0], [1.0, -1.0]])
def test_gini_needs_amounts(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="Gini"):
        stats.gini(bad)


def a_set_of_lists(rng: np.random.Generator, users: int = 25, items: int = 60, k: int = 6) -> list[np.ndarray]:
    """Lists in which low indices are the more popular."""
    taste = rng.gumbel(size=(users, items)) - np.log(np.arange(1, items + 1))
    return list(np.argsort(-taste, axis=1)[:, :k])


@pytest.mark.parametrize("lengths", ["equal", "unequal"])
def test_unit_values_of_gini_and_coverage_are_the_jackknifes(lengths: str) -> None:
    rng = np.random.default_rng(1)
    lists = a_set_of_lists(rng)
    if lengths == "unequal":
        lists = [one[: at % 6] for at, one in enumerate(lists)]
    wanted = np.arange(60) >= 12

    def gini(chosen: list[np.ndarray]) -> float:
        return stats.gini(np.bincount(np.concatenate(chosen), minlength=60))

    def reached(chosen: list[np.ndarray]) -> float:
        return len({int(i) for one in chosen for i in one if wanted[i]}) / wanted.sum()

    for values, statistic in (
        (stats.gini_unit_values(lists, 60), gini),
        (stats.reached_unit_values(lists, wanted), reached),
    ):
        left = np.array([statistic(lists[:i] + lists[i + 1 :]) for i in range(25)])
        assert values.mean() == pytest.approx(statistic(lists))
        assert values == pytest.approx(statistic(lists) + 24 * (left.mean() - left))


def test_unit_values_of_any_statistic_average_to_it() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random(30), rng.random(30) + 0.5
    values = stats.unit_values(lambda w: (w @ a) / (w @ b), 30)
    assert values.mean() == pytest.approx(a.sum() / b.sum())
    linear = a.sum() / b.sum() + (a - a.sum() / b.sum() * b) / b.mean()
    assert values == pytest.approx(linear, abs=0.05), "to first order they are the influences"


def test_jackknife_intervals_of_gini_and_coverage_cover() -> None:
    """Where a percentile bootstrap of users does not: its resamples reach fewer items than the sample."""
    rng = np.random.default_rng(3)
    truth = [a_set_of_lists(rng) for _ in range(400)]
    gini = np.mean([stats.gini(np.bincount(np.concatenate(x), minlength=60)) for x in truth])
    reach = np.mean([len(set(np.concatenate(x).tolist())) / 60 for x in truth])
    held = np.array(
        [
            (
                stats.jackknife_interval(stats.gini_unit_values(x, 60)).contains(gini),
                stats.jackknife_interval(stats.reached_unit_values(x, np.ones(60))).contains(reach),
            )
            for x in truth[:200]
        ]
    )
    assert (held.mean(axis=0) >= 0.92).all()


def test_random_lists_are_uniform_and_without_repeats() -> None:
    rng = np.random.default_rng(4)
    found = stats.random_lists([2, 3, 0], [3, 3, 5], rng=rng, draws=6000)
    pairs = {p: 0 for p in itertools.permutations(range(3), 2)}
    for first, second in found[:, 0, :2].tolist():
        pairs[first, second] += 1
    sets = np.array([pairs[a, b] + pairs[b, a] for a, b in ((0, 1), (0, 2), (1, 2))])
    assert sets == pytest.approx(np.full(3, 2000), abs=150)
    assert (np.sort(found[:, 1], axis=1) == [0, 1, 2]).all()
    assert (found[:, 2] == -1).all()
    with pytest.raises(ValueError, match="cannot be longer"):
        stats.random_lists([4], [3], rng=rng, draws=1)


@pytest.mark.parametrize(("users", "expected"), [(943, 0.165), (50, 0.645)])
def test_the_floor_of_gini_is_that_of_the_sheet(users: int, expected: float) -> None:
    rng = np.random.default_rng(5)
    found = stats.random_lists(np.full(users, 20), np.full(users, 1682), rng=rng, draws=5)
    counts = np.stack([np.bincount(draw.ravel(), minlength=1682) for draw in found])
    assert stats.gini_rows(counts).mean() == pytest.approx(expected, abs=0.015)


def test_the_gaps_of_ifairlrs_by_brute_force() -> None:
    """GP, GH, GU, MGU and DGU counted item by item, as the paper defines them."""
    rng = np.random.default_rng(6)
    groups = {item: {int(g) for g in rng.choice(4, size=rng.integers(1, 4), replace=False)} for item in range(30)}
    lists = [rng.choice(30, 5, replace=False).tolist() for _ in range(12)]
    histories = [rng.choice(30, 9, replace=False).tolist() for _ in range(12)]

    def share(group: int, held: list[list[int]]) -> float:
        inside = sum(group in groups[i] for one in held for i in one)
        return inside / sum(len(groups[i]) for one in held for i in one)

    gu = [share(g, lists) - share(g, histories) for g in range(4)]
    member = np.array([[g in groups[i] for g in range(4)] for i in range(30)], dtype=float)
    counts = [np.array([member[one].sum(axis=0) for one in held]).sum(axis=0)[None] for held in (lists, histories)]
    mgu, dgu = stats.group_gap(*counts)
    assert mgu[0] == pytest.approx(sum(abs(u) for u in gu) / 4)
    assert dgu[0] == pytest.approx(max(gu) - min(gu))


def test_the_mean_test_keeps_its_level_on_shares_of_a_rare_group() -> None:
    rng = np.random.default_rng(7)
    for n in (30, 100):
        shares = rng.binomial(10, 0.05, size=(600, n)) / 10
        null = stats.mean_tests(shares - 0.05, rng=rng, resamples=999)
        assert 0.02 <= (null < 0.05).mean() <= 0.08
        assert (stats.mean_tests(shares - 0.02, rng=rng, resamples=999) < 0.05).mean() >= (0.45 if n == 30 else 0.95)


def test_the_mean_test_has_the_planned_power() -> None:
    rng = np.random.default_rng(8)
    effect = stats.minimum_detectable_difference(1.0, 50)
    found = stats.mean_tests(rng.normal(effect, 1.0, size=(400, 50)), rng=rng, resamples=999) < 0.05
    assert found.mean() >= 0.74


def test_the_mean_test_of_equal_values() -> None:
    rng = np.random.default_rng(9)
    assert stats.mean_test(np.zeros(10), rng=rng) == 1.0
    assert stats.mean_test(np.full(3, 2.0), rng=rng) == pytest.approx(0.25), "three signs, both tails"
    assert stats.mean_test(np.full(40, 2.0), rng=rng) < 0.001
    with pytest.raises(ValueError, match="finite"):
        stats.mean_test([1.0, np.nan], rng=rng)


def test_an_interval_without_spread_says_so() -> None:
    assert stats.jackknife_interval([0.4, 0.4, 0.4]).method == "constant"
    cut = stats.jackknife_interval([0.0, 1.9, 0.1], bounds=(0.0, 1.0))
    assert (cut.low, cut.high) == (0.0, 1.0)
