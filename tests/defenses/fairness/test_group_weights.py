"""IFairLRS weights: what targets amplify counts less."""

from __future__ import annotations

import numpy as np
import pytest

from audit.types import Item
from defenses.fairness.weights import example_weights, group_weights


def film(*genres: str) -> Item:
    return Item("x", "X", attributes={"genres": genres})


def test_amplified_groups_weigh_less() -> None:
    histories = [[film("A"), film("B")], [film("A"), film("B")]]
    targets = [film("A"), film("A"), film("A"), film("B")]
    weights = group_weights([*histories, *histories], targets, "genres")
    assert weights == {"A": pytest.approx(0.5 / 0.75), "B": pytest.approx(0.5 / 0.25)}
    found = example_weights([*histories, *histories], targets, "genres")
    assert found.mean() == pytest.approx(1.0)
    assert found[3] / found[0] == pytest.approx(3.0)


def test_a_weighted_loss_sees_the_histories_shares() -> None:
    rng = np.random.default_rng(0)
    histories = [[film("A" if rng.random() < 0.4 else "B") for _ in range(10)] for _ in range(500)]
    targets = [film("A" if rng.random() < 0.7 else "B") for _ in range(500)]
    weights = example_weights(histories, targets, "genres")
    inside = np.array([t.attributes["genres"] == ("A",) for t in targets])
    assert weights[inside].sum() / weights.sum() == pytest.approx(0.4, abs=0.02)


def test_several_genres_are_averaged_and_none_is_left_alone() -> None:
    found = example_weights([[film("A")], [film("B")]], [film("A", "B"), film()], "genres")
    assert found.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="one of each is needed"):
        example_weights([[film("A")]], [], "genres")
    with pytest.raises(ValueError, match="no item has a value"):
        group_weights([[film()]], [film()], "genres")
