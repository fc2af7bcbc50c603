"""What the sequence networks share: rows to learn from, and what there is to learn at all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from audit.data.dataset import Dataset
from audit.errors import DataError
from audit.targets.zoo.sasrec_model import Hyper, SASRecNet
from audit.targets.zoo.sequence_model import chunks, next_item_loss, sequences_of
from audit.types import Catalog, Item


def tiny(*lengths: int) -> Dataset:
    """Three items whose titles are numbers, and users with so many events."""
    catalog = Catalog(Item(str(n), str(1984 + n)) for n in range(3))
    rows = [(f"u{u}", str((u + n) % 3), 1.0, float(n)) for u, length in enumerate(lengths) for n in range(length)]
    return Dataset("tiny", catalog, pd.DataFrame(rows, columns=["user", "item", "rating", "time"]))


@pytest.mark.parametrize("seed", range(5))
def test_chunks_hold_each_step_once(seed: int) -> None:
    lengths = (1, 2, 5, 6, 7, 23)
    sequences = [100 * n + np.arange(n) for n in lengths]
    rows = chunks(sequences, 5, np.random.default_rng(seed))
    assert rows.shape[1] == 6
    steps = [(a - 1, b - 1) for row in rows for a, b in pairwise(row) if a]
    assert sorted(steps) == sorted((s[i], s[i + 1]) for s in sequences for i in range(len(s) - 1))
    for row in rows:
        assert np.flatnonzero(row)[0] + np.count_nonzero(row) == 6  # padded on the left only


def test_the_loss_is_the_mean_over_the_steps_of_the_rows() -> None:
    torch.manual_seed(0)
    net = SASRecNet(9, Hyper(dim=8, layers=1, length=4)).eval()
    rows = torch.tensor([[0, 0, 3, 1, 4], [1, 5, 9, 2, 6]])
    net.position.weight.data.zero_()  # a prefix on its own stands further to the right
    with torch.inference_mode():
        loss, steps = next_item_loss(net, rows)
        # Step by step, each behind its own prefix alone.
        losses = []
        for row in rows:
            known = [int(i) for i in row if i]
            for end in range(1, len(known)):
                scores = torch.from_numpy(net.score([np.array(known[:end]) - 1])[0])
                losses.append(functional.cross_entropy(scores, torch.tensor(known[end] - 1)))
    assert steps == len(losses) == 6
    assert loss.item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-5)


def test_two_items_are_held_out_and_one_teaches_nothing() -> None:
    assert [items.tolist() for items in sequences_of(tiny(1, 2, 3, 4, 5), "sasrec")] == [[0, 1], [1, 2, 0]]
    with pytest.raises(DataError, match=r"dataset tiny: sasrec learns steps .* a user with at least 4 events"):
        sequences_of(tiny(1, 3, 3), "sasrec")
    with pytest.raises(DataError, match="at least 3 events"):
        sequences_of(tiny(1, 1), "sasrec")
