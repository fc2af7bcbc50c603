"""Exposure, by its definition and by brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from audit.stats import mean_interval
from audit.stats.exposure import expected_exposure, exposure_test, exposures


def test_the_definition_of_the_secret_sharer() -> None:
    # log2 |R| - log2 rank: the first of 1,024 is exposed by 10 bits, the second by 9, the last by none.
    found = exposures(-np.arange(1024))
    assert found[[0, 1, 3, 1023]] == pytest.approx([10, 9, 8, 0])


def test_an_even_rank_is_exposed_by_log2_e_in_a_large_space() -> None:
    assert expected_exposure(10**7) == pytest.approx(math.log2(math.e), abs=1e-5)
    for size in (1, 2, 5, 64):
        brute = math.log2(size) - sum(math.log2(r) for r in range(1, size + 1)) / size
        assert expected_exposure(size) == pytest.approx(brute)


def test_ties_share_what_breaking_them_at_random_gives() -> None:
    scores = np.array([3.0, 1.0, 3.0, 2.0, 1.0, 1.0])
    ways = []
    for order in itertools.permutations(range(6)):
        rank = np.empty(6)
        rank[np.lexsort((order, -scores))] = np.arange(1, 7)
        ways.append(np.log2(6) - np.log2(rank))
    assert exposures(scores) == pytest.approx(np.mean(ways, axis=0))
    assert exposures(np.zeros(64)) == pytest.approx(np.full(64, expected_exposure(64)))


def test_the_p_value_by_brute_force() -> None:
    possible = [exposures([4.0, 3.0, 2.0, 1.0]), exposures([1.0, 1.0, 0.0]), exposures([2.0, 1.0])]
    sums = [sum(draw) for draw in itertools.product(*possible)]
    for secret in ((0, 0, 0), (1, 0, 0), (0, 2, 1), (3, 2, 1)):
        observed = [one[i] for one, i in zip(possible, secret, strict=True)]
        exact = np.mean([total >= sum(observed) - 1e-9 for total in sums])
        p = exposure_test(observed, possible, rng=np.random.default_rng(1), draws=40_000)
        assert p == pytest.approx(exact, abs=4 * math.sqrt(0.25 / 40_000))


def test_size() -> None:
    """Of 2,000 models that never read the secrets, one in twenty is accused at the 5 % level; with ties and without."""
    rng, accused, runs = np.random.default_rng(3), np.zeros(2), 2000
    for _ in range(runs):
        # Half of the models tie many of their candidates.
        possible = [exposures(rng.integers(4, size=16) if n % 2 else rng.random(16)) for n in range(12)]
        observed = [one[rng.integers(16)] for one in possible]
        accused += [
            exposure_test(observed, possible, rng=rng, side="greater", draws=499) <= 0.05,
            exposure_test(observed, possible, rng=rng, side="two-sided", draws=499) <= 0.05,
        ]
    assert np.all(np.abs(accused / runs - 0.05) < 4 * math.sqrt(0.05 * 0.95 / runs))


def test_coverage_of_the_interval_of_a_mean() -> None:
    """Exposures lean to one side: of 20 canaries the interval misses on the high side, and seldom on the low one."""
    rng, bits, missed, runs = np.random.default_rng(5), exposures(np.arange(64)), np.zeros(2), 400
    for _ in range(runs):
        mean = mean_interval(bits[rng.integers(64, size=20)], rng=rng, resamples=1000, bounds=(0.0, 6.0))
        missed += [mean.low > expected_exposure(64), mean.high < expected_exposure(64)]
    low, high = missed / runs
    # Measured over 1,000 runs: .029 and .066. A leak is concluded from the low end.
    assert low < 0.029 + 3 * math.sqrt(0.029 / runs)
    assert high < 0.066 + 3 * math.sqrt(0.066 / runs)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="there is no candidate"):
        exposures([])
    with pytest.raises(ValueError, match="size: 0"):
        expected_exposure(0)
    with pytest.raises(ValueError, match="one set of candidates per secret"):
        exposure_test([1.0], [], rng=np.random.default_rng(0))
