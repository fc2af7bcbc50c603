from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from audit.data.dataset import Dataset
from audit.targets.zoo.protocol import hits, leave_one_out_ranks
from audit.targets.zoo.s3rec import build
from audit.targets.zoo.s3rec_model import Hyper, Pretraining, SASRecNet, attribute_table, load, segments, train
from audit.types import Catalog, Item

SMALL = Hyper(dim=16, layers=1, length=12, pretraining=2, epochs=3, rate=1e-2, batch=16)


def pretraining(held: torch.Tensor, **weights: float) -> Pretraining:
    torch.manual_seed(0)
    alone = {"aap": 0.0, "mip": 0.0, "map": 0.0, "sp": 0.0, **weights}
    hyper = Hyper(dim=16, layers=1, length=6, dropout=0.0, hidden=0.0, **alone)
    return Pretraining(SASRecNet(len(held), hyper), held, hyper).eval()


HELD = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
ROWS = torch.tensor([[0, 0, 1, 2, 3, 4], [5, 1, 3, 2, 5, 4]])


def test_attributes_are_words_that_items_share() -> None:
    catalog = Catalog(
        Item(str(n), str(n), attributes=attributes)
        for n, attributes in enumerate(
            [{"genres": ("Drama", "War"), "year": 1994}, {"genres": ("War",), "year": 1994}, {"maker": "War"}, {}]
        )
    )
    assert attribute_table(catalog).tolist() == [[1], [1], [0], [0]]  # not `War` the maker, no year, no lone `Drama`
    assert attribute_table(Catalog([Item("1", "1984"), Item("2", "2001")])).shape == (2, 0)


def test_a_hidden_item_is_asked_of_both_sides() -> None:
    # Nothing is hidden but the last item of each row, so the loss can be written down.
    beside = pretraining(HELD, mip=1.0)
    loss, rows = beside.loss(ROWS)
    net, expected = beside.net, []
    for row in ROWS:
        vectors = net.item(row)[None].clone()
        vectors[0, -1] = beside.mask
        state = net.encode(vectors, (row != 0)[None], causal=False)[0, -1]
        expected.append(functional.cross_entropy(net.logits(beside.mip.weight @ state), row[-1] - 1))
    assert rows == 2
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), abs=1e-5)
    seen = net.encode(net.item(ROWS), ROWS != 0, causal=False)
    other = ROWS.clone()
    other[:, -1] = 2
    assert not torch.allclose(seen[:, 2], net.encode(net.item(other), other != 0, causal=False)[:, 2], atol=1e-4)


def test_attributes_are_asked_of_each_item_and_of_the_hidden_ones() -> None:
    beside = pretraining(HELD, aap=1.0)
    expected = []
    for row in ROWS:
        for item in row[row != 0]:
            chance = torch.sigmoid(beside.attribute @ (beside.aap.weight @ beside.net.item.weight[item]))
            held = HELD[item - 1]
            expected.append(-(held * chance.log() + (1 - held) * (1 - chance).log()).sum())
    assert beside.loss(ROWS)[0].item() == pytest.approx(torch.stack(expected).mean().item(), abs=1e-5)
    hidden = pretraining(HELD, map=1.0)
    hidden.loss(ROWS)[0].backward()
    assert hidden.mask.grad is not None
    assert hidden.mask.grad.abs().sum() > 0
    assert hidden.map.weight.grad is not None
    assert hidden.map.weight.grad.abs().sum() > 0


def test_without_attributes_items_and_segments_are_left_to_guess() -> None:
    beside = pretraining(torch.zeros(5, 0), aap=1.0, mip=1.0, map=1.0, sp=1.0)
    other = pretraining(torch.zeros(5, 0), mip=1.0, sp=1.0)
    torch.manual_seed(1)
    found = beside.loss(ROWS)[0].item()
    torch.manual_seed(1)
    assert found == other.loss(ROWS)[0].item()
    assert np.isfinite(found)
    lone = torch.tensor([[0, 0, 0, 0, 0, 3]])
    assert np.isfinite(beside.loss(lone)[0].item())


def test_a_segment_is_a_run_of_at_most_half_of_a_row() -> None:
    torch.manual_seed(0)
    rows = torch.zeros(2000, 9, dtype=torch.long)
    sizes = torch.arange(2000) % 8 + 2
    for row, size in zip(rows, sizes, strict=True):
        row[9 - size :] = torch.arange(1, size + 1)
    inside, cut = segments(rows)
    for row, size, where, segment in zip(rows, sizes.tolist(), inside, cut, strict=True):
        taken = row[where]
        assert 1 <= len(taken) <= size // 2
        assert (taken[0] > 0) & (taken.diff() == 1).all()
        assert segment.tolist() == [0] * (9 - len(taken)) + taken.tolist()
    of_nine = inside[sizes == 9].sum(1)
    assert set(of_nine.tolist()) == {1, 2, 3, 4}
    assert inside[sizes == 9].any(0).all()


class Stop(Exception):
    """The training was killed."""


@pytest.mark.parametrize("kill", [1, 2, 4], ids=["pre-training", "between", "next items"])
def test_a_training_stopped_in_either_stage_goes_on_and_ends_the_same(
    kill: int, world: Dataset, tmp_path: Path
) -> None:
    epochs: list[tuple[int, int]] = []
    whole = train(world, seed=1, out=tmp_path / "whole", hyper=SMALL, progress=lambda e, n, _: epochs.append((e, n)))
    assert epochs == [(n, 5) for n in range(1, 6)]

    def stop(epoch: int, *_: object) -> None:
        if epoch == kill:
            raise Stop

    with pytest.raises(Stop):
        train(world, seed=1, out=tmp_path / "cut", hyper=SMALL, progress=stop)
    epochs.clear()
    cut = train(world, seed=1, out=tmp_path / "cut", hyper=SMALL, progress=lambda e, n, _: epochs.append((e, n)))
    assert epochs == [(n, 5) for n in range(kill + 1, 6)]
    assert cut == whole
    for name in ("config.json", "evaluation.json", "model.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(list((tmp_path / "cut").iterdir())) == 3


def test_it_learns_the_walk_of_the_tiny_world(world: Dataset, tmp_path: Path) -> None:
    hyper = Hyper(dim=32, layers=1, length=20, rate=5e-3, pretraining=5, epochs=30)
    metrics = train(world, seed=3, out=tmp_path, hyper=hyper)
    assert metrics["test_hr@10"] > 0.25  # chance is 10 of about 95 unseen items
    model = build(world, weights=tmp_path)
    assert hits(leave_one_out_ranks(model.score, world), 10).mean() == metrics["test_hr@10"]
    assert load(tmp_path)[0].hyper == hyper
