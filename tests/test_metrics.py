"""Ranking metrics against scikit-learn, SciPy and the definitions."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from audit.metrics import hit_rate, jaccard, kendall_tau, ndcg, rbo, reciprocal_rank

ids = st.sampled_from("abcdefgh")
lists = st.lists(ids, unique=True, max_size=8)


def test_by_hand():
    ranked = ["a", None, "b", "c"]
    assert [hit_rate(ranked, {"b"}, k) for k in (1, 2, 3)] == [0, 0, 1]
    assert ndcg(ranked, {"b"}, 10) == pytest.approx(1 / np.log2(4))
    assert ndcg(ranked, {"b", "a", "z"}, 2) == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert reciprocal_rank(ranked, {"c", "b"}) == pytest.approx(1 / 3)
    assert reciprocal_rank(ranked, {"c", "b"}, k=2) == 0
    assert jaccard(["a", "b", "c"], ["c", "d", "a"], k=3) == pytest.approx(2 / 4)
    assert jaccard(["a", "b", "c"], ["c", "d", "a"], k=2) == 0


@given(st.permutations("abcdefgh"), st.sets(ids, min_size=1), st.integers(1, 8))
def test_ndcg_equals_scikit_learn(ranked, relevant, k):
    truth = [[float(i in relevant) for i in ranked]]
    assert ndcg(ranked, relevant, k) == pytest.approx(ndcg_score(truth, [list(range(8, 0, -1))], k=k))


@pytest.mark.parametrize("metric", [hit_rate, ndcg, reciprocal_rank])
def test_unmatched_titles_are_no_hits_and_repeats_gain_nothing(metric):
    assert metric([None, None], {"a"}, 5) == 0
    assert metric([], {"a"}, 5) == 0
    assert metric(["a", "a", "a"], {"a", "b"}, 3) == metric(["a"], {"a", "b"}, 3)
    with pytest.raises(ValueError, match="relevant: it is empty"):
        metric(["a"], set(), 5)
    with pytest.raises(ValueError, match="k: 0"):
        metric(["a"], {"a"}, 0)


def rbo_by_definition(a, b, p, depth=600):
    """Sum of (1 - p) p^(d-1) A_d to a great depth.

    The agreements A_d of the extrapolation are those of Webber et al. 2010, section 4.4: below its end the short list
    is taken to agree at the rate X_s / s; below the end of the long list the agreement stays as it is.
    """
    short, long = sorted((a, b), key=len)
    s, n = len(short), len(long)
    if s == 0:
        return 0.0
    overlap = [len(set(short[:d]) & set(long[:d])) for d in range(n + 1)]
    agreement = [(overlap[d] + overlap[s] * max(0, d - s) / s) / d for d in range(1, n + 1)]
    agreement += [agreement[-1]] * (depth - n)
    return (1 - p) * sum(p**i * x for i, x in enumerate(agreement))


@given(lists, lists, st.sampled_from([0.5, 0.8, 0.9]))
def test_rbo_equals_its_definition_for_lists_of_any_lengths(a, b, p):
    value = rbo(a, b, p)
    assert value == pytest.approx(rbo_by_definition(a, b, p), abs=1e-9)
    assert value == pytest.approx(rbo(b, a, p), abs=1e-12)
    assert 0 <= value <= 1
    assert rbo(a, a, p) == pytest.approx(1.0 if a else 0.0)


def test_rbo_known_values():
    twenty = [f"i{n}" for n in range(20)]
    assert rbo(twenty, twenty[::-1], 0.9) == pytest.approx(0.254442, abs=1e-6)
    assert rbo(twenty, [f"j{n}" for n in range(20)], 0.9) == 0
    assert rbo(twenty[:5], twenty, 0.9) == pytest.approx(1.0)
    assert rbo(twenty, twenty[:10] + ["x"] * 10, 0.9, k=10) == pytest.approx(1.0)


def test_rbo_counts_unmatched_titles_and_repeats_as_disagreement():
    assert rbo(["a", None, "b"], ["a", None, "b"]) == pytest.approx(rbo(["a", "x", "b"], ["a", "y", "b"]))
    assert rbo([None, None], [None, None]) == 0
    assert rbo(["a", "a"], ["a", "a"]) == pytest.approx(rbo(["a", "x"], ["a", "y"]))


def test_jaccard_counts_unmatched_titles_as_items_of_their_own_list():
    assert jaccard(["a", None], ["a", None]) == pytest.approx(1 / 3)
    assert jaccard([None], [None]) == 0
    assert jaccard(["a", "a"], ["a"]) == 1


@pytest.mark.parametrize("compare", [jaccard, rbo])
def test_an_empty_answer_agrees_with_nothing(compare):
    assert compare([], []) == 0
    assert compare(["a"], []) == 0
    with pytest.raises(ValueError, match="k: 0"):
        compare(["a"], ["a"], k=0)


@pytest.mark.parametrize("p", [0.0, 1.0, 1.5])
def test_rbo_refuses_an_impossible_persistence(p):
    with pytest.raises(ValueError, match="p: "):
        rbo(["a"], ["a"], p)


@given(lists, lists)
def test_kendall_tau_counts_the_pairs_of_shared_items(a, b):
    shared = [i for i in a if i in b]
    if len(shared) < 2:
        assert kendall_tau(a, b) is None
        return
    pairs = [1 if b.index(x) < b.index(y) else -1 for x, y in itertools.combinations(shared, 2)]
    assert kendall_tau(a, b) == pytest.approx(np.mean(pairs))


def test_kendall_tau_skips_unmatched_titles():
    assert kendall_tau(["a", None, "b"], [None, "b", "a", "z"]) == -1
    assert kendall_tau([None, None], [None, None]) is None
    assert kendall_tau(list("abc"), list("acb")) == pytest.approx(scipy.stats.kendalltau([1, 2, 3], [1, 3, 2])[0])
