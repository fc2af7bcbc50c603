"""AUC and UAUC against scikit-learn and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from audit.stats import (
    auc,
    auc_interval,
    paired_auc_difference,
    paired_uauc_difference,
    uauc,
    uauc_interval,
)
from audit.stats.discrimination import _auc_of_weights


def rng(seed=0):
    return np.random.default_rng(seed)


def world(draw, users=30, rows=8, signal=0.7, levels=None):
    """Scores, labels, users: each user has an own share of likes, which the score knows too."""
    user = np.repeat(np.arange(users), rows)
    taste = draw.normal(size=users)[user]
    label = (taste + draw.normal(size=users * rows) > 0).astype(int)
    score = signal * label + 0.5 * taste + draw.normal(size=users * rows)
    return (score if levels is None else np.round(score * levels) / levels), label, user


rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3)), min_size=2, max_size=40)


@given(rows)
def test_auc_with_many_ties_and_weights_equals_scikit_learn(table):
    score, label, weight = map(np.array, zip(*table, strict=True))
    if weight[label == 1].sum() == 0 or weight[label == 0].sum() == 0:
        with pytest.raises(ValueError, match="class"):
            auc(score, label, weight)
        return
    assert auc(score, label) == pytest.approx(roc_auc_score(label, score))
    assert auc(score, label, weight) == pytest.approx(roc_auc_score(label, score, sample_weight=weight))


@given(rows)
def test_uauc_is_the_mean_of_the_users_own_aucs(table):
    score, label, user = map(np.array, zip(*table, strict=True))
    own = [roc_auc_score(label[user == u], score[user == u]) for u in set(user) if len(set(label[user == u])) == 2]
    if not own:
        with pytest.raises(ValueError, match="class"):
            uauc(score, label, user)
        return
    mean, n = uauc(score, label, [f"u{u}" for u in user])
    assert (mean, n) == (pytest.approx(np.mean(own)), len(own))


def test_replicates_equal_the_auc_of_the_repeated_rows():
    score, label, user = world(rng(1), users=10, levels=3)
    weights = rng(2).multinomial(10, [0.1] * 10, size=20)
    ours = _auc_of_weights(score, label, user)(weights.astype(float))
    for w, value in zip(weights, ours, strict=True):
        repeated = np.repeat(np.arange(len(score)), w[user])
        assert value == pytest.approx(roc_auc_score(label[repeated], score[repeated]))


def test_intervals_agree_with_a_bootstrap_written_as_a_loop():
    score, label, user = world(rng(3), levels=4)
    draw, replicates = rng(4), []
    of_user = [np.flatnonzero(user == u) for u in range(30)]
    for _ in range(3000):
        picked = np.concatenate([of_user[u] for u in draw.integers(0, 30, 30)])
        replicates.append(auc(score[picked], label[picked]))
    ours = auc_interval(score, label, user, rng=rng(5), resamples=3000, method="percentile")
    assert ours.as_pair() == pytest.approx(tuple(np.quantile(replicates, [0.025, 0.975])), abs=0.008)


def test_paired_differences():
    score, label, user = world(rng(6))
    noise = rng(7).normal(size=len(score))
    same = paired_auc_difference(score, 3 * score + 1, label, user, rng=rng())
    assert same.as_pair() == (0.0, 0.0)
    worse = paired_auc_difference(score, noise, label, user, rng=rng())
    assert worse.estimate == pytest.approx(auc(score, label) - auc(noise, label))
    assert worse.low > 0
    per_user = paired_uauc_difference(score, noise, label, user, rng=rng())
    assert per_user.estimate == pytest.approx(uauc(score, label, user)[0] - uauc(noise, label, user)[0])
    assert per_user.low > 0
    swapped = paired_uauc_difference(noise, score, label, user, rng=rng())
    assert swapped.estimate == pytest.approx(-per_user.estimate)
    assert swapped.high < 0


def test_size_when_scores_know_nothing_yet_rows_of_a_user_are_alike():
    draw, user = rng(8), np.repeat(np.arange(60), 5)

    def independent():
        """Half of the variance belongs to the user, and no two of these know of each other."""
        return draw.normal(size=60)[user] + draw.normal(size=300)

    rejected = []
    for _ in range(2000):
        a, b, label = independent(), independent(), (independent() > 0).astype(int)
        rejected.append(
            (
                not auc_interval(a, label, user, rng=draw, resamples=300).contains(0.5),
                not uauc_interval(a, label, user, rng=draw, resamples=300).contains(0.5),
                not paired_auc_difference(a, b, label, user, rng=draw, resamples=300).contains(0.0),
                not paired_uauc_difference(a, b, label, user, rng=draw, resamples=300).contains(0.0),
            )
        )
    size = np.mean(rejected, axis=0)
    assert np.all((size >= 0.03) & (size <= 0.07)), size


def test_resamples_without_a_class_are_dropped_and_counted():
    # Only user 0 has positives: resamples without that user have no AUC.
    user = np.repeat(np.arange(6), 3)
    label = (user == 0).astype(int)
    score = np.arange(18.0) % 5
    interval = auc_interval(score, label, user, rng=rng(9), resamples=3000)
    assert interval.dropped / 3000 == pytest.approx((5 / 6) ** 6, abs=0.03)


def test_all_users_ranked_perfectly_is_not_certainty():
    interval = uauc_interval([1, 0] * 20, [1, 0] * 20, np.arange(40) // 2, rng=rng())
    assert interval.estimate == 1.0
    assert interval.low < 0.95


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_an_increasing_map_of_the_scores_changes_nothing(seed):
    score, label, user = world(rng(seed), users=8)
    assert auc(score, label) == auc(np.exp(score), label)
    assert uauc(score, label, user) == uauc(score**3, label, user)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"scores\[0\]: nan"):
        auc([np.nan, 1], [0, 1])
    with pytest.raises(ValueError, match="each class"):
        auc([1, 2], [1, 1])
    with pytest.raises(ValueError, match=r"2\.0 is neither"):
        auc([1, 2], [1, 2])
    with pytest.raises(ValueError, match="scores has 2, users has 3"):
        uauc([1, 2], [0, 1], ["a", "b", "c"])
    with pytest.raises(ValueError, match="no user has rows of both classes"):
        uauc([1, 2], [0, 1], ["a", "b"])
    with pytest.raises(ValueError, match="at least 2 units"):
        auc_interval([1, 2], [0, 1], ["a", "a"], rng=rng())
