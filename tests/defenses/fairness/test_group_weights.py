"""IFairLRS weights: what targets amplify counts less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from world import make_world

from audit.data.splits import leave_one_out
from audit.targets.zoo.sasrec import SASRec
from audit.targets.zoo.sasrec_model import Hyper, train
from audit.types import Catalog, Item
from defenses.fairness.weights import example_weights, group_weights, item_weights


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


def test_each_item_has_the_mean_weight_of_its_groups() -> None:
    catalog = Catalog([Item(str(n), "T", attributes={"genres": g}) for n, g in enumerate([("A",), ("A", "B"), ()])])
    found = item_weights(catalog, [[film("A"), film("B")]] * 4, [film("A")] * 3 + [film("B")], "genres")
    assert found == pytest.approx([2 / 3, (2 / 3 + 2) / 2, 1.0])
    with pytest.raises(ValueError, match="'B' is among the targets and in no history"):
        item_weights(catalog, [[film("A")]], [film("B")], "genres")


def test_a_training_that_takes_weights_shows_less_of_what_weighs_less(tmp_path: Path) -> None:
    world = make_world(users=60)
    small = Hyper(dim=16, layers=1, heads=2, length=12, epochs=3, rate=1e-2, batch=16)
    genres = [item.attributes["genres"] for item in world.catalog.items_in_order]
    most = max({g for held in genres for g in held}, key=lambda g: sum(g in held for held in genres))
    inside = np.array([most in held for held in genres])
    shares = {}
    for name, weights in (("plain", None), ("ones", np.ones(len(genres))), ("less", np.where(inside, 0.2, 1.0))):
        train(world, seed=0, out=tmp_path / name, hyper=small, item_weights=weights)
        scores = SASRec.load(tmp_path / name, world.catalog).score(list(leave_one_out(world).train.values()))
        shares[name] = float(inside[np.argsort(-scores, axis=1)[:, :10]].mean())
    assert shares["ones"] == pytest.approx(shares["plain"])
    assert shares["less"] < 0.6 * shares["plain"]
    with pytest.raises(ValueError, match="one for each item"):
        train(world, seed=0, out=tmp_path / "bad", hyper=small, item_weights=np.ones(3))
