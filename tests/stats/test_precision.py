"""Average precision against scikit-learn, by hand, and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from audit import stats


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_as_scikit_learn_has_it(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=80) if not ties else rng.integers(6, size=80).astype(float)
    labels = (rng.random(80) < 0.2).astype(int)
    labels[0] = 1
    assert stats.average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores))


def test_by_hand() -> None:
    # Precision at the positives: 1/1, 2/3.
    assert stats.average_precision([4, 3, 2, 1], [1, 0, 1, 0]) == pytest.approx((1 + 2 / 3) / 2)
    assert stats.average_precision([1, 1, 1, 1], [1, 0, 0, 0]) == 0.25
    assert stats.average_precision([1, 2], [1, 1]) == 1.0


def test_a_resample_is_the_data_with_its_users_repeated() -> None:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(12), 5)
    scores, labels = rng.normal(size=60), (rng.random(60) < 0.3).astype(int)
    found = stats.average_precision_interval(
        scores, labels, users, rng=np.random.default_rng(1), method="percentile", resamples=800
    )
    again, drawn = np.random.default_rng(2), []
    for _ in range(800):
        picks = again.integers(12, size=12)
        rows = np.concatenate([np.flatnonzero(users == u) for u in picks])
        drawn.append(average_precision_score(labels[rows], scores[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.estimate == pytest.approx(average_precision_score(labels, scores))
    assert found.low == pytest.approx(low, abs=0.03)
    assert found.high == pytest.approx(high, abs=0.03)


@pytest.mark.parametrize(
    ("scores", "labels", "said"),
    [
        ([1, 2], [0, 0], "needs at least one positive"),
        ([1, 2], [0, 2], "2.0 is neither 0 nor 1"),
        ([1, np.nan], [0, 1], "not a finite number"),
        ([1, 2, 3], [0, 1], "one entry per unit"),
    ],
)
def test_what_cannot_be_used(scores: list[float], labels: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stats.average_precision(scores, labels)
