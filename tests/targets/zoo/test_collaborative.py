"""What holds of every collaborative recommender: the set of the history decides, trainings go on, bad input is told."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from audit.data.dataset import Dataset
from audit.errors import DataError, TargetError
from audit.targets.zoo.bipartite import Bipartite
from audit.targets.zoo.collaborative_model import bpr_loss, triples
from audit.targets.zoo.history_use import histories_by_condition
from audit.targets.zoo.protocol import hits, leave_one_out_ranks
from audit.types import Catalog, Item, Request, User

EXTRA: dict[str, dict[str, Any]] = {
    "bprmf": {},
    "lightgcn": {"layers": 2},
    "gtn": {"layers": 2},
    "ltgnn": {"neighbours": 5},
    "ncf": {"hidden": 8},
}


@pytest.fixture(params=EXTRA)
def name(request: pytest.FixtureRequest) -> str:
    """The stem of a target's modules."""
    found: str = request.param
    return found


@pytest.fixture
def model(name: str) -> ModuleType:
    return importlib.import_module(f"audit.targets.zoo.{name}_model")


@pytest.fixture
def target(name: str) -> ModuleType:
    return importlib.import_module(f"audit.targets.zoo.{name}")


def small(model: ModuleType, name: str, **given: Any) -> Any:
    return model.Hyper(**{"dim": 8, "rate": 2e-2, "batch": 256, "epochs": 3, **EXTRA[name], **given})


def tiny(*lengths: int, items: int = 3) -> Dataset:
    """Items whose titles are numbers, and users with so many events."""
    catalog = Catalog(Item(str(n), str(1984 + n)) for n in range(items))
    rows = [(f"u{u}", str((u + n) % items), 1.0, float(n)) for u, length in enumerate(lengths) for n in range(length)]
    return Dataset("tiny", catalog, pd.DataFrame(rows, columns=["user", "item", "rating", "time"]))


class Stop(Exception):
    """The training was killed."""


def test_a_stopped_training_goes_on_and_ends_the_same(
    world: Dataset, tmp_path: Path, model: ModuleType, name: str
) -> None:
    hyper = small(model, name)
    whole = model.train(world, seed=1, out=tmp_path / "whole", hyper=hyper)

    def stop(epoch: int, _: int, __: float) -> None:
        if epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        model.train(world, seed=1, out=tmp_path / "cut", hyper=hyper, progress=stop)
    with pytest.raises(TargetError, match="belongs to another training; delete it"):
        model.train(world, seed=2, out=tmp_path / "cut", hyper=hyper)
    epochs = []
    cut = model.train(world, seed=1, out=tmp_path / "cut", hyper=hyper, progress=lambda epoch, *_: epochs.append(epoch))
    assert epochs == [3]
    assert cut == whole
    expected, found = (load_file(tmp_path / folder / "model.safetensors") for folder in ("whole", "cut"))
    assert expected.keys() == found.keys()
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key])
    kept = sorted(file.name for file in (tmp_path / "cut").iterdir())
    assert kept == ["config.json", "evaluation.json", "model.safetensors"]


def test_it_learns_the_taste_of_the_tiny_world(
    world: Dataset, tmp_path: Path, model: ModuleType, target: ModuleType, name: str
) -> None:
    """One training, and what must hold of what it leaves."""
    metrics = model.train(world, seed=3, out=tmp_path, hyper=small(model, name, dim=16, epochs=25))
    recommender = target.build(world, weights=tmp_path)
    assert metrics["test_hr@10"] > 0.2  # chance is 10 of about 95 unseen items
    assert metrics["test_hr@10"] > metrics["test_hr@10_other"]
    assert hits(leave_one_out_ranks(recommender.score, world), 10).mean() == metrics["test_hr@10"]

    histories = [*list(world.sequences.values())[:4], np.zeros(0, dtype=np.int64), np.array([5])]
    scores = recommender.score(histories)
    assert scores.shape == (6, len(world.catalog))
    assert np.isfinite(scores).all()
    alone = np.concatenate([recommender.score([history]) for history in histories])
    np.testing.assert_array_equal(scores, alone)
    shuffled = histories_by_condition(histories, rng=np.random.default_rng(0))["shuffled"]
    np.testing.assert_array_equal(scores, recommender.score([np.concatenate([h, h[:1]]) for h in shuffled]))
    edited = recommender.score([histories[0][1:]])[0]
    assert not np.allclose(edited, scores[0])

    with pytest.raises(TargetError, match=rf"119 items that this catalogue lacks.* train {recommender.name}"):
        type(recommender).load(tmp_path, Catalog(world.catalog.items_in_order[:1]))


def test_weights_of_another_target_are_refused(world: Dataset, tmp_path: Path, model: ModuleType, name: str) -> None:
    other = "bprmf" if name != "bprmf" else "lightgcn"
    foreign = importlib.import_module(f"audit.targets.zoo.{other}_model")
    foreign.train(tiny(4, 4, items=6), seed=1, out=tmp_path, hyper=small(foreign, other, epochs=1))
    with pytest.raises(TargetError, match=rf"holds weights of {foreign.ARCHITECTURE!r}, not of"):
        model.load(tmp_path)
    with pytest.raises(TargetError, match=r"there is no folder .*nowhere; run `recaudit train .*` and give the folder"):
        model.load(tmp_path / "nowhere")
    (tmp_path / "config.json").unlink()
    with pytest.raises(TargetError, match="does not hold usable weights"):
        model.load(tmp_path)


def test_three_items_and_users_with_one_event_are_enough(
    tmp_path: Path, model: ModuleType, target: ModuleType, name: str
) -> None:
    data = tiny(3, 1, 4, 1)
    model.train(data, seed=1, out=tmp_path, hyper=small(model, name, epochs=1))
    recommender = target.build(data, weights=tmp_path)
    full = Request(User("u", data.events("u2")), k=3)
    one = Request(User("v", data.events("u1")), k=3)
    answers = recommender.recommend([full, one, Request(User("new"), k=3)])
    assert [len(answer.ids) for answer in answers] == [0, 2, 3]
    assert [entry.title for entry in answers[1].ranked] == [data.catalog[i].title for i in answers[1].ids]


def test_users_who_have_everything_are_told(tmp_path: Path, model: ModuleType, name: str) -> None:
    with pytest.raises(DataError, match="each user has every item of the catalogue; it needs more items"):
        model.train(tiny(5, 5, items=3), seed=1, out=tmp_path, hyper=small(model, name))
    with pytest.raises(DataError, match="needs a user with at least 3 events"):
        model.train(tiny(1, 2), seed=1, out=tmp_path, hyper=small(model, name))


def test_each_edge_is_learned_once_against_items_that_the_user_lacks() -> None:
    histories = [np.array([0, 1]), np.arange(6), np.array([5])]
    graph = Bipartite(histories, 6)
    batches = list(triples(graph, 2, 40, np.random.default_rng(0)))
    assert [len(users) for users, _, _ in batches] == [2, 1]
    users, liked, others = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert sorted(zip(users.tolist(), liked.tolist(), strict=True)) == [(0, 0), (0, 1), (2, 5)]  # user 1 has all
    for user, drawn in zip(users.tolist(), others.tolist(), strict=True):
        assert set(drawn) == set(range(6)) - set(histories[user].tolist())


def test_the_loss_is_that_of_the_paper() -> None:
    users, liked, others = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.0]]), torch.tensor([[0.0, 0.5]])
    assert bpr_loss(users, liked, others).item() == pytest.approx(-np.log(1 / (1 + np.exp(0.5))))
