"""FaiRLLM's measures: the figures of its published code, and the mended forms against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit.modules.fairness.sweep import similarity as sim

TWENTY = [f"t{i}" for i in range(20)]


@pytest.mark.parametrize(
    ("k", "expected"), [(1, 0.5), (2, 0.416667), (5, 0.333333), (10, 0.295455), (20, 0.273810), (50, 0.259804)]
)
def test_serp_of_equal_lists_as_published(k: int, expected: float) -> None:
    names = [f"t{i}" for i in range(k)]
    assert sim.compat_serp(names, names, k) == pytest.approx(expected, abs=5e-7)
    assert sim.serp(names, names, k) == 1.0


def test_prag_as_published() -> None:
    other = [f"o{i}" for i in range(10)]
    for prag in (sim.compat_prag, sim.prag):
        assert prag(TWENTY, TWENTY, 20) == 1.0
        assert prag(TWENTY[::-1], TWENTY, 20) == 0.0
        assert prag(TWENTY, TWENTY[:10], 20) == pytest.approx(0.763158, abs=5e-7)
        assert prag(TWENTY[:10] + other, TWENTY[:10] + [f"q{i}" for i in range(10)], 20) == pytest.approx(
            0.763158, abs=5e-7
        )
        assert prag(other + TWENTY[10:], TWENTY, 20) == pytest.approx(0.236842, abs=5e-7)
    assert sim.compat_prag(TWENTY[:10], TWENTY, 20) == 1.0, "a short list looks perfect"
    assert sim.prag(TWENTY[:10], TWENTY, 20) == pytest.approx(0.763158, abs=5e-7), "and does not any more"


def test_serp_of_halves_as_published() -> None:
    other = [f"o{i}" for i in range(10)]
    assert sim.compat_serp(TWENTY[:10], TWENTY, 20) == pytest.approx(0.0773810, abs=5e-8)
    assert sim.compat_serp(TWENTY, TWENTY[:10], 20) == pytest.approx(0.75)
    assert sim.compat_serp(TWENTY[:10] + other, TWENTY, 20) == pytest.approx(0.196, abs=5e-4)
    assert sim.compat_serp(other + TWENTY[10:], TWENTY, 20) == pytest.approx(0.077, abs=5e-4)
    assert sim.compat_serp(TWENTY, TWENTY[::-1], 20) == sim.compat_serp(TWENTY, TWENTY, 20)


def test_repeats_inflate_the_published_measures() -> None:
    repeated = ["a", "a", "b", "c"]
    assert sim.compat_serp(repeated, repeated, 4) == pytest.approx(0.575)
    assert sim.compat_prag(repeated, repeated, 4) == pytest.approx(0.833333, abs=5e-7)
    assert sim.compat_jaccard(repeated, repeated, 4) == 1.0
    same = ["a"] * 20
    assert sim.compat_serp(same, same, 20) == pytest.approx(5.476, abs=5e-4)
    assert sim.compat_prag(same, same, 20) == 0.0
    assert sim.compat_jaccard(same, same, 20) == 1.0
    assert sim.serp(repeated, repeated, 3) == sim.prag(repeated, repeated, 3) == 1.0


def test_two_empty_lists_are_no_agreement() -> None:
    with pytest.raises(ZeroDivisionError):
        sim.compat_jaccard([], [], 5)
    assert all(math.isnan(measure([], [], 5)) for measure in sim.CLEAN.values())
    assert sim.compat_serp(["a"], [], 5) == sim.compat_prag([], ["a"], 5) == 0.0


def test_rbo_vectors() -> None:
    assert sim.rbo(TWENTY, TWENTY, 20) == pytest.approx(1.0)
    assert sim.rbo(TWENTY, [f"o{i}" for i in range(20)], 20) == 0.0
    assert sim.rbo(TWENTY[::-1], TWENTY, 20) == pytest.approx(0.254442, abs=5e-7)


@pytest.mark.parametrize("measure", sim.MEASURES)
def test_the_matrix_is_the_measure_of_every_pair(measure: sim.Measure) -> None:
    rng = np.random.default_rng(1)
    for k in (1, 5, 8):
        lists = [[f"t{i}" for i in rng.permutation(12)[: rng.integers(1, 9)]] for _ in range(14)]
        expected = [[sim.CLEAN[measure](x, y, k) for y in lists] for x in lists]
        np.testing.assert_allclose(sim.matrix(lists, k, measure), expected, atol=1e-12)
