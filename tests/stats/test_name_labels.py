"""Groups of names: size and power of the tests, and what so few names can show."""

from __future__ import annotations

import numpy as np
import pytest

from audit.stats import NamedValues, NamePairs, attainable_name_p

NAMES, ANCHORS = 10, 15


def a_design(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two names of either group at every anchor, each name as often as the others: (anchors, 4)."""
    decks = [np.concatenate([rng.permutation(NAMES) for _ in range(3)])[: 2 * ANCHORS].reshape(-1, 2) for _ in range(2)]
    return np.hstack([decks[0], decks[1] + NAMES]), np.arange(2 * NAMES) < NAMES


def pairs(rng: np.random.Generator, shift: float) -> NamePairs:
    """Answers lie in a plane; every name pushes them its own way, and one group all one way."""
    shown, group = a_design(rng)
    place = rng.normal(size=(2 * NAMES, 2)) + shift * group[:, None]
    first, second, anchor, distance = [], [], [], []
    scale = np.exp(rng.normal(0, 0.5, ANCHORS))
    for a, names in enumerate(shown):
        answers = place[names] + rng.normal(0, 0.5, (4, 2))
        for i in range(4):
            for j in range(i):
                if names[i] != names[j]:
                    first.append(min(names[i], names[j]))
                    second.append(max(names[i], names[j]))
                    anchor.append(a)
                    distance.append(scale[a] * np.linalg.norm(answers[i] - answers[j]))
    zero = np.zeros(2 * NAMES, dtype=np.int64)
    return NamePairs(np.array(anchor), np.array(first), np.array(second), np.array(distance), group, zero)


def values(rng: np.random.Generator, shift: float, spread: float = 1.0) -> NamedValues:
    shown, group = a_design(rng)
    effect = rng.normal(0, spread, 2 * NAMES) + shift * group
    anchor = np.repeat(np.arange(ANCHORS), 4)
    value = effect[shown.ravel()] + rng.normal(0, 3, ANCHORS)[anchor] + rng.normal(0, 1, 4 * ANCHORS)
    return NamedValues(anchor, shown.ravel(), value, group, np.zeros(2 * NAMES, dtype=np.int64))


@pytest.mark.parametrize("make", [pairs, values])
def test_names_that_differ_among_themselves_are_no_group(make: object) -> None:
    rng = np.random.default_rng(5)
    rejected = np.mean([make(rng, 0.0).test(rng=rng, permutations=199).p <= 0.05 for _ in range(400)])  # type: ignore[operator]
    assert 0.02 <= rejected <= 0.08


@pytest.mark.parametrize("make", [pairs, values])
def test_groups_that_differ_are_found(make: object) -> None:
    rng = np.random.default_rng(6)
    found = np.mean([make(rng, 2.0).test(rng=rng, permutations=199).p <= 0.05 for _ in range(50)])  # type: ignore[operator]
    assert found >= 0.8


def test_intervals_cover_names_that_were_not_drawn() -> None:
    rng = np.random.default_rng(7)
    held = np.mean([values(rng, 1.0).interval(rng=rng, resamples=300).contains(1.0) for _ in range(200)])
    assert held >= 0.9


def test_intervals_of_distances_cover_too() -> None:
    rng = np.random.default_rng(9)
    excess = []
    for _ in range(1000):
        _, far, near = pairs(rng, 2.0).per_anchor()
        excess.append((far - near).mean())
    found = [pairs(rng, 2.0).interval(rng=rng) for _ in range(200)]
    assert np.mean([i.contains(float(np.mean(excess))) for i in found]) >= 0.93
    width = np.mean([i.high - i.low for i in found])
    assert width < 1.5 * 2 * 1.96 * np.std(excess), "not much wider than it needs to be"


def test_what_so_few_names_can_show() -> None:
    # The sheet, 2.6: 3v3 .10, 4v4 .029, 5v5 .0079, 8v8 1.6e-4, 10v10 1.1e-5.
    for n, least in ((3, 0.10), (4, 0.029), (5, 0.0079), (8, 1.6e-4), (10, 1.1e-5)):
        assert attainable_name_p([(n, n)]) == pytest.approx(least, rel=0.04)
    assert attainable_name_p([(3, 3), (3, 3)]) == 2 / 400
    assert attainable_name_p([(3, 3), (3, 3)], mirrored=True) == 4 / 400


def test_few_names_are_permuted_in_every_way() -> None:
    group = np.array([True] * 3 + [False] * 3)
    anchor, name = np.repeat(np.arange(4), 6), np.tile(np.arange(6), 4)
    found = NamedValues(anchor, name, np.tile([5.0, 6, 7, 1, 2, 3], 4), group, np.zeros(6, dtype=np.int64))
    result = found.test(rng=np.random.default_rng(0))
    assert result.exact
    assert result.p == pytest.approx(0.1), "2 of 20 relabellings are as extreme"
    assert result.p == pytest.approx(result.attainable)


def test_the_design_effect_of_the_sheet() -> None:
    # 1 + (m - 1) ICC: 50 answers per name give 3.45 at .05 and 10.8 at .2.
    rng = np.random.default_rng(8)
    for icc, effect in ((0.05, 3.45), (0.2, 10.8)):
        names = 400
        anchor, name = np.repeat(np.arange(50), names), np.tile(np.arange(names), 50)
        value = rng.normal(0, np.sqrt(icc), names)[name] + rng.normal(0, np.sqrt(1 - icc), len(name))
        found = NamedValues(anchor, name, value, np.arange(names) % 2 == 0, np.zeros(names, dtype=np.int64))
        assert found.design_effect == pytest.approx(effect, rel=0.15)


def test_too_few_names_are_refused() -> None:
    found = pairs(np.random.default_rng(0), 0.0)
    alone = NamePairs(found.anchor, found.first, found.second, found.distance, np.arange(20) < 1, found.stratum)
    with pytest.raises(ValueError, match="stratum 0 has 1 names of one group; at least 2"):
        alone.test(rng=np.random.default_rng(0))
