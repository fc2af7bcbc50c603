"""Log-odds with an informative prior: published figures, size under the null, and power."""

from __future__ import annotations

import numpy as np
import pytest

from audit import stats

SETS = 200


def genres(ml100k):
    items = ml100k.catalog.items_in_order
    names = sorted({g for item in items for g in item.attributes.get("genres", ())})
    member = np.array([[g in item.attributes.get("genres", ()) for g in names] for item in items], dtype=float)
    return names, member


def test_the_baseline_of_movielens_is_the_published_one(ml100k):
    """Section 2.8 of the specification: female against male users, all interactions, prior of 500."""
    names, member = genres(ml100k)
    frame = ml100k.interactions
    rows = member[frame["item"].map(ml100k.index).to_numpy()]
    female = frame["user"].map(lambda user: ml100k.users[user]["gender"] == "F").to_numpy()
    first, second = rows[female].sum(axis=0), rows[~female].sum(axis=0)
    found = stats.log_odds(first, second, stats.informative_prior(first + second))
    expected = {
        "Children's": 0.297,
        "Romance": 0.266,
        "Musical": 0.198,
        "Drama": 0.148,
        "Animation": 0.122,
        "Comedy": 0.107,
        "Crime": -0.170,
        "Action": -0.251,
        "Sci-Fi": -0.274,
        "Western": -0.301,
    }
    for name, value in expected.items():
        assert found[names.index(name)] == pytest.approx(value, abs=0.0006), name


def test_the_formula_by_hand():
    prior = stats.informative_prior([30, 10], 4)
    assert prior.tolist() == [3, 1]
    found = stats.log_odds([20, 5], [10, 5], prior)
    assert found[0] == pytest.approx(np.log(23 / 6) - np.log(13 / 6))
    z = stats.log_odds_z([20, 5], [10, 5], prior)
    assert z[0] == pytest.approx(found[0] / np.sqrt(1 / 23 + 1 / 13))
    assert stats.log_odds([0, 4], [0, 9], [0, 1]).tolist() == [0, 0]


def lists_of(rng, units: int, taste: np.ndarray, *, size: int = 20, concentration: float = 7.0) -> np.ndarray:
    """Counts of units that each have tastes of their own, (units, features)."""
    own = rng.dirichlet(taste * concentration, size=units)
    return np.array([rng.multinomial(size, p) for p in own], dtype=float)


TASTE = np.array([0.3, 0.25, 0.2, 0.12, 0.08, 0.05])


def test_a_null_between_users_is_rejected_as_often_as_it_says_while_the_published_z_is_not():
    rng = np.random.default_rng(1)
    rejected, z_rejected = [], []
    for _ in range(SETS):
        counts = lists_of(rng, 80, TASTE)
        member = np.arange(80) < 25
        first, second = counts[member].sum(axis=0), counts[~member].sum(axis=0)
        prior = stats.informative_prior(first + second, 50)
        rejected.append(stats.between_units_tests(counts, member, prior, rng=rng, permutations=199) <= 0.05)
        z_rejected.append(np.abs(stats.log_odds_z(first, second, prior)) > 1.96)
    assert 0.02 <= np.mean(rejected) <= 0.08
    assert 0.2 <= np.mean(z_rejected) <= 0.4  # the specification measured .29


def test_users_that_differ_are_no_amplification_where_the_lists_mirror_them():
    """The groups do differ, and the smaller one is the more varied: the size holds all the same."""
    rng = np.random.default_rng(2)
    other = np.array([0.15, 0.25, 0.2, 0.12, 0.08, 0.2])
    rejected = []
    for _ in range(SETS):
        own = np.concatenate([rng.dirichlet(other * 5, 25), rng.dirichlet(TASTE * 12, 55)])
        histories, lists = (np.array([rng.multinomial(n, p) for p in own], dtype=float) for n in (30, 20))
        member = np.arange(80) < 25
        histories *= (lists.sum(axis=1) / histories.sum(axis=1))[:, None]
        prior = stats.informative_prior((lists + histories).sum(axis=0), 50)
        rejected.append(
            stats.between_units_tests(lists, member, prior, rng=rng, baseline=histories, permutations=199) <= 0.05
        )
    assert 0.02 <= np.mean(rejected) <= 0.08


@pytest.mark.parametrize("labels", [2, 4])
def test_a_null_within_anchors_is_rejected_as_often_as_it_says(labels):
    rng = np.random.default_rng(3)
    rejected = []
    for _ in range(SETS):
        own = rng.dirichlet(TASTE * 5, size=30)
        cells = np.array([[rng.multinomial(10, p) for _ in range(labels)] for p in own], dtype=float)
        prior = stats.informative_prior(cells.sum(axis=(0, 1)))
        rejected.append(stats.within_units_tests(cells, prior, rng=rng, permutations=199) <= 0.05)
    assert 0.02 <= np.mean(rejected) <= 0.08


def test_a_planted_association_is_found_and_only_that():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(40):
        own = rng.dirichlet(TASTE * 5, size=60)
        cells = np.array([[rng.multinomial(10, p) for _ in range(3)] for p in own], dtype=float)
        moved = rng.binomial(cells[:, 1, 0].astype(int), 0.3)  # from the first feature to the last
        cells[:, 1, 0] -= moved
        cells[:, 1, 5] += moved
        prior = stats.informative_prior(cells.sum(axis=(0, 1)))
        found.append(stats.within_units_tests(cells, prior, rng=rng, permutations=199) <= 0.05)
    power = np.mean(found, axis=0)
    assert power[1, 0] > 0.9
    assert power[1, 5] > 0.9
    assert power[1, 1:5].mean() < 0.15


def test_the_size_holds_to_the_last_unit_that_is_exchanged():
    """Against all patterns, for two labels and few units."""
    rng = np.random.default_rng(5)
    cells = rng.integers(0, 9, size=(6, 2, 3)).astype(float)
    prior = stats.informative_prior(cells.sum(axis=(0, 1)), 10)
    patterns = (np.arange(64)[:, None] >> np.arange(6)) & 1
    seen = np.abs(stats.log_odds(*cells.sum(axis=0), prior))
    every = []
    for pattern in patterns:
        first = cells[np.arange(6), pattern].sum(axis=0)
        every.append(np.abs(stats.log_odds(first, cells.sum(axis=(0, 1)) - first, prior)))
    exact = (np.array(every) >= seen - 1e-12).mean(axis=0)
    p = stats.within_units_tests(cells, prior, rng=rng, permutations=20_000)
    np.testing.assert_allclose(p[0], exact, atol=0.015)
    np.testing.assert_allclose(p[0], p[1])


def test_unit_values_have_the_ratio_as_their_mean_and_its_error_as_their_spread():
    rng = np.random.default_rng(6)
    counts = lists_of(rng, 400, TASTE)
    member = (np.arange(400) < 150)[:, None]
    first, second = counts * member, counts * ~member
    prior = stats.informative_prior(counts.sum(axis=0))
    values = stats.association_values(first, second, prior)
    np.testing.assert_allclose(values.mean(axis=0), stats.log_odds(first.sum(axis=0), second.sum(axis=0), prior))
    interval = stats.association_interval(first, second, 0, prior, rng=rng)
    assert interval.estimate == pytest.approx(values[:, 0].mean())
    half = 1.96 * values[:, 0].std(ddof=1) / 20
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.12)


def test_the_interval_covers_the_truth_within_units():
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(150):
        own = rng.dirichlet(TASTE * 5, size=50)
        tilted = own * np.array([1, 1, 1, 1, 1, 2.0])
        tilted /= tilted.sum(axis=1, keepdims=True)
        first, second = (np.array([rng.multinomial(20, p) for p in side], dtype=float) for side in (tilted, own))
        prior = stats.informative_prior((first + second).sum(axis=0), 1e-9)
        interval = stats.association_interval(first, second, 5, prior, rng=rng, resamples=400)
        covered.append((interval.low, interval.high))
    lows, highs = np.array(covered).T
    own = rng.dirichlet(TASTE * 5, size=200_000)
    tilted = own * np.array([1, 1, 1, 1, 1, 2.0])
    tilted /= tilted.sum(axis=1, keepdims=True)
    share, base = tilted[:, 5].mean(), own[:, 5].mean()
    truth = np.log(share / (1 - share)) - np.log(base / (1 - base))
    assert np.mean((lows <= truth) & (truth <= highs)) > 0.88


def test_what_cannot_be_tested_is_refused():
    rng = np.random.default_rng(8)
    with pytest.raises(ValueError, match="two labels"):
        stats.within_units_tests(np.ones((3, 1, 2)), [1, 1], rng=rng)
    with pytest.raises(ValueError, match="2 are needed each"):
        stats.between_units_tests(np.ones((3, 2)), [True, False, False], [1, 1], rng=rng)
    with pytest.raises(ValueError, match="not all 0"):
        stats.informative_prior([0, 0])
    with pytest.raises(ValueError, match="strength"):
        stats.informative_prior([1, 0], 0)


def test_a_feature_that_nobody_has_is_no_association():
    rng = np.random.default_rng(9)
    counts = np.array([[3.0, 0, 2], [1, 0, 4], [2, 0, 2], [5, 0, 1]])
    prior = stats.informative_prior(counts.sum(axis=0))
    p = stats.between_units_tests(counts, [True, True, False, False], prior, rng=rng, permutations=99)
    assert p[1] == 1
    cells = np.stack([counts, counts[::-1]], axis=1)
    assert (stats.within_units_tests(cells, prior, rng=rng, permutations=99)[:, 1] == 1).all()


def test_permutations_suffice_for_the_family():
    assert stats.permutations_for(3) == 9_999
    assert stats.permutations_for(500) == 20_000
