"""Label tests: their size where nothing is different, and their power where something is."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import numpy.typing as npt
import pytest

from audit import stats

Floats = npt.NDArray[np.float64]


def lists(rng: np.random.Generator, scores: Floats, temperature: float, size: int, length: int = 6) -> Floats:
    """Top lists as membership vectors: Gumbel noise on scores, shape (size, items)."""
    noisy = scores / temperature + rng.gumbel(size=(size, len(scores)))
    found = np.zeros((size, len(scores)))
    np.put_along_axis(found, np.argsort(-noisy, axis=1)[:, :length], 1.0, axis=1)
    return found


def experiment(rng: np.random.Generator, units: int, runs: int, shift: float = 0.0, hotter: float = 1.0) -> Floats:
    """Jaccard between all runs, the first half neutral, shape (units, 2 runs, 2 runs)."""
    found = []
    for _ in range(units):
        scores, other = rng.normal(size=30), rng.normal(size=30)
        shifted = (1 - shift) * scores + shift * other
        held = np.concatenate([lists(rng, scores, 0.5, runs), lists(rng, shifted, 0.5 * hotter, runs)])
        shared = held @ held.T
        found.append(shared / (12 - shared))
    return np.array(found)


def test_the_run_test_keeps_its_size() -> None:
    rng = np.random.default_rng(1)
    p = np.array([[(r := stats.compare_runs(experiment(rng, 12, 3), 3, rng=rng, permutations=399)).p_distance,
                   r.p_dispersion] for _ in range(300)])  # fmt: skip
    rejected = (p <= 0.05).mean(axis=0)
    assert np.all((rejected >= 0.02) & (rejected <= 0.08)), rejected


def test_the_run_test_sees_a_shift_and_the_dispersion_test_a_spread() -> None:
    rng = np.random.default_rng(2)
    moved = [stats.compare_runs(experiment(rng, 20, 3, shift=0.5), 3, rng=rng, permutations=399) for _ in range(40)]
    assert np.mean([r.p_distance <= 0.05 for r in moved]) >= 0.9
    spread = [stats.compare_runs(experiment(rng, 20, 3, hotter=2.5), 3, rng=rng, permutations=399) for _ in range(40)]
    assert np.mean([r.p_dispersion <= 0.05 for r in spread]) >= 0.9
    assert np.mean([r.dispersion.mean() for r in spread]) < 0
    # Spread is not preference: most of the lost similarity is half the dispersion.
    assert np.mean([-r.dispersion.mean() / 2 > r.distance.mean() for r in spread]) >= 0.9


def test_the_run_statistics_against_brute_force() -> None:
    s = experiment(np.random.default_rng(3), 2, 2, shift=0.8)
    found = stats.compare_runs(s, 2, rng=np.random.default_rng(0), permutations=20_000)

    def distance(m: int, first: tuple[int, ...]) -> float:
        (a, b), (c, d) = first, [i for i in range(4) if i not in first]
        across = (s[m, a, c] + s[m, a, d] + s[m, b, c] + s[m, b, d]) / 4
        return float((s[m, a, b] + s[m, c, d]) / 2 - across)

    np.testing.assert_allclose(found.distance, [distance(m, (0, 1)) for m in range(2)])
    np.testing.assert_allclose(found.excess, found.distance - found.dispersion / 2)
    splits = list(combinations(range(4), 2))
    sums = [distance(0, x) + distance(1, y) for x, y in product(splits, splits)]
    exact = np.mean(np.array(sums) >= found.distance.sum() - 1e-12)
    assert found.p_distance == pytest.approx(exact, abs=0.01)


def test_the_exchange_test_keeps_its_size() -> None:
    rng = np.random.default_rng(4)
    p = []
    for _ in range(400):
        table = rng.exponential(size=(15, 1)) + rng.exponential(size=(15, 9))
        table[:, 1:][rng.random((15, 8)) < 0.2] = np.nan
        table[:, 1] = np.where(np.isnan(table[:, 1]), 1.0, table[:, 1])
        p.append(stats.exchange_test(table[:, 0], rng.permuted(table[:, 1:], axis=1), rng=rng, permutations=399))
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.08


def test_the_exchange_test_sees_what_stands_out_and_is_exact_on_a_small_case() -> None:
    rng = np.random.default_rng(5)
    hits = [
        stats.exchange_test(rng.normal(1.0, 1.0, 20), rng.normal(size=(20, 8)), rng=rng, permutations=399) <= 0.05
        for _ in range(60)
    ]
    assert np.mean(hits) >= 0.9
    # Three units, two placebos, the value highest in each: one of 27 exchanges.
    p = stats.exchange_test([3.0, 3.0, 3.0], [[1.0, 2.0]] * 3, rng=rng, permutations=40_000)
    assert p == pytest.approx(1 / 27, abs=0.004)
    assert stats.exchange_test([1.0, 1.0], [[1.0], [1.0]], rng=rng, permutations=99) == 1.0


def test_the_spread_test_keeps_its_size_and_its_floor_is_the_published_one() -> None:
    rng = np.random.default_rng(6)
    found = [
        stats.spread_test(rng.normal(size=(40, 1)) + rng.normal(0, 0.1, (40, 4)), rng=rng, permutations=299)
        for _ in range(300)
    ]
    assert 0.02 <= np.mean([f.p <= 0.05 for f in found]) <= 0.08
    # E[SNSR] is about d2(4) s / sqrt(M) = 2.059 * .1 / sqrt(40).
    assert np.mean([f.floor for f in found]) == pytest.approx(2.059 * 0.1 / np.sqrt(40), rel=0.05)
    assert np.mean([f.estimate for f in found]) == pytest.approx(np.mean([f.floor for f in found]), rel=0.08)


def test_the_spread_test_sees_one_condition_apart() -> None:
    rng = np.random.default_rng(7)
    for statistic in ("range", "sd"):
        hits = []
        for _ in range(40):
            values = rng.normal(0, 0.1, (30, 4))
            values[:, 2] += 0.1
            hits.append(stats.spread_test(values, statistic, rng=rng, permutations=299).p <= 0.05)
        assert np.mean(hits) >= 0.9


def test_snsv_of_two_values_is_half_of_snsr() -> None:
    values = [[0.8006, 0.7973]]
    rng = np.random.default_rng(0)
    assert stats.spread_test(values, "sd", rng=rng, permutations=9).estimate == pytest.approx(0.00165)
    assert stats.spread_test(values, "range", rng=rng, permutations=9).estimate == pytest.approx(0.0033)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: stats.compare_runs(np.ones((2, 3, 3)), 2, rng=r), "at least 2"),
        (lambda r: stats.compare_runs(np.ones((2, 3)), 2, rng=r), "shape"),
        (lambda r: stats.compare_runs(np.full((2, 4, 4), np.nan), 2, rng=r), "not finite"),
        (lambda r: stats.exchange_test([1.0], [[np.nan]], rng=r), "at least one placebo"),
        (lambda r: stats.spread_test([[1.0], [2.0]], rng=r), "two columns"),
    ],
)
def test_bad_input_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))  # type: ignore[operator]
