"""The graph against counting by hand, against scikit-learn, and without the one who asks."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from taste_world import CATALOG, log_of, make_log

from audit.data.dataset import Dataset
from defenses.profile.graph import ItemGraph, Measure

INDEX = {item_id: n for n, item_id in enumerate(CATALOG)}


def numbers(*ids: str) -> np.ndarray:
    return np.array([INDEX[i] for i in ids], dtype=np.int64)


def together(log: Dataset, window: int | None) -> dict[tuple[int, int], int]:
    """For how many people each pair stands within the window, by looking at every pair of places."""
    counts: dict[tuple[int, int], int] = {}
    for sequence in log.sequences.values():
        near = {
            (a, b)
            for (i, a), (j, b) in combinations(enumerate(sequence.tolist()), 2)
            if a != b and (window is None or j - i <= window)
        }
        for pair in {tuple(sorted(pair)) for pair in near}:
            counts[pair] = counts.get(pair, 0) + 1  # type: ignore[index, arg-type]
    return counts


def repeating_log(seed: int) -> Dataset:
    """Short histories in which items come back."""
    rng = np.random.default_rng(seed)
    names = list(CATALOG)[:8]
    return log_of({f"u{u}": [names[i] for i in rng.integers(8, size=rng.integers(1, 9))] for u in range(12)})


@pytest.mark.parametrize("window", [None, 1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_counted_once_per_person(window: int | None, seed: int) -> None:
    log = repeating_log(seed)
    graph = ItemGraph(log, window=window, shrink=1.0, measure="pmi")
    want = np.zeros(graph.counts.shape)
    for (a, b), n in together(log, window).items():
        want[a, b] = want[b, a] = n
    assert (graph.counts.toarray() == want).all()
    assert graph.people.tolist() == [log.popularity[i] for i in CATALOG]


@pytest.mark.parametrize("window", [None, 2])
def test_pmi_is_how_much_more_often_than_by_chance(window: int | None) -> None:
    log, shrink = repeating_log(3), 0.7
    counts = together(log, window)
    margin = {n: sum(c for pair, c in counts.items() if n in pair) for n in range(8)}
    total = sum(margin.values())
    history = np.arange(8)
    found = ItemGraph(log, window=window, shrink=shrink, measure="pmi").affinities(history[None], ["stranger"])[0]
    for a, b in combinations(range(8), 2):
        expected = margin[a] * margin[b] / total
        want = max(0.0, math.log((counts.get((a, b), 0) + shrink) / (expected + shrink)))
        assert found[a, b] == pytest.approx(want)
        assert found[b, a] == found[a, b]
    assert (np.diag(found) == 0).all()


def test_cosine_is_that_of_who_has_the_items() -> None:
    log = make_log(40)
    has = np.zeros((len(log.user_ids), len(CATALOG)))
    for row, items in zip(has, log.sequences.values(), strict=True):
        row[items] = 1
    want = cosine_similarity(has.T)
    np.fill_diagonal(want, 0)
    graph = ItemGraph(log, window=None, shrink=0.0, measure="cosine")
    np.testing.assert_allclose(graph.affinities(np.arange(60)[None], ["stranger"])[0], want[:60, :60], atol=1e-12)


@pytest.mark.parametrize("measure", ["pmi", "cosine"])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("log", [make_log(30), repeating_log(1)], ids=["tastes", "repeating"])
def test_whoever_asks_is_not_in_the_graph(log: Dataset, window: int | None, measure: Measure) -> None:
    """Leaving the user out of the counts is the same as leaving the user out of the log."""
    whole = ItemGraph(log, window=window, shrink=0.5, measure=measure)
    for user in log.user_ids[:8]:
        rest = ItemGraph(log.without_users([user]), window=window, shrink=0.5, measure=measure)
        # The user's own items, and some that the user never met.
        history = np.concatenate([log.sequences[user], numbers("a1", "b2", "c3")])
        np.testing.assert_allclose(
            whole.affinities(history[None], [user]), rest.affinities(history[None], ["stranger"]), atol=1e-12
        )
        assert (whole.support(history, user) == rest.support(history, "stranger")).all()


def test_one_person_cannot_vouch_for_a_pair_by_repeating_it() -> None:
    quiet = {f"u{n}": ["a0", "a1", "b0", "b1"] for n in range(5)}
    loud = {**quiet, "loud": ["a5", "b5"] * 50}
    once = {**quiet, "loud": ["a5", "b5"]}
    pair = numbers("a5", "b5")[None]
    found = [
        ItemGraph(log_of(log), window=1, shrink=1.0, measure="pmi").affinities(pair, ["x"])[0, 0, 1]
        for log in (loud, once)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("measure", ["pmi", "cosine"])
def test_edges_are_the_measure_of_every_pair(measure: Measure) -> None:
    graph = ItemGraph(make_log(30), window=4, shrink=1.0, measure=measure)
    everything = np.arange(len(CATALOG))
    np.testing.assert_allclose(graph.edges.toarray(), graph.affinities(everything[None], ["stranger"])[0], atol=1e-12)


def test_a_log_in_which_nothing_stands_together() -> None:
    graph = ItemGraph(log_of({"u": ["a0"], "v": ["a1"]}), window=10, shrink=0.0, measure="pmi")
    assert not graph.affinities(numbers("a0", "a1", "b0")[None], ["x"]).any()
    assert graph.edges.nnz == 0
