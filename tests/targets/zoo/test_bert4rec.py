from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audit.data.dataset import Dataset
from audit.targets.zoo.bert4rec import build
from audit.targets.zoo.bert4rec_model import BERT4RecNet, Hyper, cloze, cloze_loss, load, train
from audit.targets.zoo.protocol import hits, leave_one_out_ranks

SMALL = Hyper(dim=16, layers=1, length=12, epochs=3, rate=1e-2, batch=16)


def net(hyper: Hyper = SMALL, items: int = 30) -> BERT4RecNet:
    torch.manual_seed(0)
    return BERT4RecNet(items, hyper).eval()


def test_a_hidden_place_reads_both_sides() -> None:
    model = net()
    row = torch.arange(1, 13)[None]
    row[0, 5] = model.mask
    with torch.inference_mode():
        before = model(row)[0, 5]
        for place in (0, 11):
            other = row.clone()
            other[0, place] = 25
            assert not torch.allclose(model(other)[0, 5], before, atol=1e-4)


def test_the_next_item_is_asked_for_behind_the_last_items_that_fit() -> None:
    model = net()
    history = np.array([3, 1, 4, 1, 5])
    asked = torch.tensor([[*(history + 1), model.mask]])
    padded = torch.cat([torch.zeros(1, 6, dtype=torch.long), asked], 1)
    with torch.inference_mode():
        for row in (asked, padded):
            expected = model.logits(model(row)[0, -1]).numpy()
            np.testing.assert_allclose(model.score([history])[0], expected, atol=1e-5)
    long = np.arange(30)
    scores = model.score([long, long[-11:], long[-10:], long[:0]])
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])
    assert scores.shape == (4, 30)  # neither the padding nor the mask is an item
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, np.concatenate([model.score([h]) for h in (long, long, long[-10:], [])]))


def test_each_row_hides_something_and_never_its_padding() -> None:
    torch.manual_seed(0)
    rows = torch.ones(4000, 10, dtype=torch.long)
    rows[:, :4] = 0
    rows[0, :9] = 0
    drawn = cloze(rows, 0.3, 0.2)
    assert not drawn[:, :4].any()
    assert drawn.any(1).all()
    assert drawn[0].tolist() == [False] * 9 + [True]
    # A row of six hides 30 % of them, one in five rows its last alone; so do the rows in which the draw took none.
    alone = 0.2 + 0.8 * (0.7**6 + 0.3 * 0.7**5)
    last = drawn[:, -1] & (drawn.sum(1) == 1)
    assert last.float().mean().item() == pytest.approx(alone, abs=0.03)
    assert drawn[:, 4:9].float().mean().item() == pytest.approx(0.3 * 0.8, abs=0.01)


def test_the_loss_is_that_of_the_hidden_items_and_the_model_does_not_see_them() -> None:
    model = net(Hyper(dim=16, layers=1, length=4, hidden=0.0, last_only=0.0))
    rows = torch.tensor([[0, 7, 3, 9], [1, 2, 3, 4]])  # with these settings only the last items are hidden
    loss, hidden = cloze_loss(model, rows)
    scores = torch.from_numpy(model.score([np.array([6, 2]), np.array([0, 1, 2])])).log_softmax(1)
    assert hidden == 2
    assert loss.item() == pytest.approx(-(scores[0, 8] + scores[1, 3]).item() / 2, abs=1e-5)


def test_it_learns_the_walk_of_the_tiny_world(world: Dataset, tmp_path: Path) -> None:
    hyper = Hyper(dim=32, layers=1, length=20, rate=3e-3, batch=32, epochs=80, last_only=0.5)
    metrics = train(world, seed=3, out=tmp_path, hyper=hyper)
    assert metrics["test_hr@10"] > 0.25  # chance is 10 of about 95 unseen items
    model = build(world, weights=tmp_path)
    assert hits(leave_one_out_ranks(model.score, world), 10).mean() == metrics["test_hr@10"]
    assert load(tmp_path)[0].hyper == hyper
