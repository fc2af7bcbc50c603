from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from audit.data.dataset import Dataset
from audit.errors import TargetError
from audit.targets.zoo.protocol import gains, hits, leave_one_out_ranks
from audit.targets.zoo.sasrec import SHIPPED, SASRec, build
from audit.targets.zoo.sasrec_model import Hyper, SASRecNet, load, train
from audit.types import Catalog, Event, Item, Request, User

SMALL = Hyper(dim=16, layers=1, heads=2, length=12, epochs=3, rate=1e-2, batch=16)


def net(hyper: Hyper = SMALL, items: int = 30) -> SASRecNet:
    torch.manual_seed(0)
    return SASRecNet(items, hyper).eval()


def test_the_future_does_not_reach_the_past() -> None:
    one = torch.arange(1, 13)[None]
    two = one.clone()
    two[0, 8:] = 25
    with torch.inference_mode():
        first, second = net()(one), net()(two)
    torch.testing.assert_close(first[:, :8], second[:, :8])
    assert not torch.allclose(first[:, 8:], second[:, 8:])


def test_padding_changes_nothing() -> None:
    model = net()
    history = np.array([3, 1, 4, 1, 5])
    padded = torch.from_numpy(np.pad(history + 1, (7, 0)))[None]
    with torch.inference_mode():
        expected = model.logits(model(padded)[0, -1]).numpy()
    np.testing.assert_allclose(model.score([history])[0], expected, atol=1e-5)


def test_only_the_last_items_count_and_neighbours_do_not() -> None:
    model = net()
    rng = np.random.default_rng(0)
    histories = [rng.integers(0, 30, n) for n in (0, 1, 12, 40)]
    scores = model.score(histories)
    assert scores.shape == (4, 30)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[3], model.score([histories[3][-12:]])[0])
    np.testing.assert_array_equal(scores, np.concatenate([model.score([h]) for h in histories]))


class Stop(Exception):
    """The training was killed."""


def test_a_stopped_training_goes_on_and_ends_the_same(world: Dataset, tmp_path: Path) -> None:
    whole = train(world, seed=1, out=tmp_path / "whole", hyper=SMALL)

    def stop(epoch: int, _: int, __: float) -> None:
        if epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train(world, seed=1, out=tmp_path / "cut", hyper=SMALL, progress=stop)
    epochs = []
    cut = train(world, seed=1, out=tmp_path / "cut", hyper=SMALL, progress=lambda epoch, *_: epochs.append(epoch))
    assert epochs == [3]
    assert cut == whole
    expected, found = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    assert sorted(p.name for p in (tmp_path / "cut").iterdir()) == [
        "config.json",
        "evaluation.json",
        "model.safetensors",
    ]


def test_a_checkpoint_of_another_training_is_not_continued(world: Dataset, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        train(world, seed=1, out=tmp_path, hyper=SMALL, progress=stop)
    with pytest.raises(TargetError, match="belongs to another training; delete it"):
        train(world, seed=2, out=tmp_path, hyper=SMALL)


def test_it_learns_the_walk_of_the_tiny_world(world: Dataset, tmp_path: Path) -> None:
    metrics = train(world, seed=3, out=tmp_path, hyper=Hyper(dim=32, layers=1, length=30, rate=5e-3, epochs=40))
    assert metrics["test_hr@10"] > 0.25  # chance is 10 of about 95 unseen items
    model = build(world, weights=tmp_path)
    ranks = leave_one_out_ranks(model.score, world)
    assert hits(ranks, 10).mean() == metrics["test_hr@10"]
    assert gains(ranks, 10).mean() == metrics["test_ndcg@10"]


def test_weights_that_do_not_fit_are_refused(world: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="does not hold usable weights"):
        load(tmp_path)
    train(world, seed=1, out=tmp_path, hyper=SMALL)
    with pytest.raises(TargetError, match=r"119 items that this catalogue lacks, such as '101'.* train sasrec"):
        SASRec.load(tmp_path, Catalog(world.catalog.items_in_order[:1]))
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**config, "items": config["items"][:-1]}), encoding="utf-8")
    with pytest.raises(TargetError, match="does not hold usable weights"):
        load(tmp_path)


def test_the_shipped_weights_reach_their_figures(ml100k_core: Dataset) -> None:
    model = build(ml100k_core)
    assert hits(leave_one_out_ranks(model.score, ml100k_core, "test"), 10).mean() >= 0.17
    assert hits(leave_one_out_ranks(model.score, ml100k_core, "valid"), 10).mean() >= 0.19
    size = sum(file.stat().st_size for file in SHIPPED.iterdir())
    assert size < 1_000_000


def test_a_catalogue_with_more_items_is_served(ml100k: Dataset, ml100k_core: Dataset) -> None:
    # The published catalogue holds 333 films outside the 5-core: they are ignored in a history and score lowest.
    model = build(ml100k)
    rare = next(item for item in ml100k.catalog.items_in_order if item.id not in ml100k_core.catalog)
    known = ml100k.catalog["50"]
    answer = model.recommend(
        [Request(User("u", (Event(rare), Event(known))), candidates=(rare, Item("1", "Toy Story (1995)")))]
    )[0]
    assert answer.ids == ("1", rare.id)
    assert model.info.fingerprint == build(ml100k_core).info.fingerprint
