from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from audit.data.dataset import Dataset, FloatArray
from audit.targets.zoo.mamba4rec import SHIPPED, build
from audit.targets.zoo.mamba4rec_model import Hyper, Mamba4RecNet, load, train
from audit.targets.zoo.protocol import hits, leave_one_out_ranks

SMALL = Hyper(dim=16, state=8, length=12, epochs=3, rate=1e-2, batch=16)


def net(hyper: Hyper = SMALL, items: int = 30) -> Mamba4RecNet:
    torch.manual_seed(0)
    return Mamba4RecNet(items, hyper).eval()


def silu(x: FloatArray) -> FloatArray:
    return x / (1 + np.exp(-x))


def recurrence(mixer: torch.nn.Module, hidden: FloatArray) -> FloatArray:
    """Algorithm 2 of Mamba (Gu and Dao, 2023), one step after another: (length, dim) to (length, dim)."""
    w = {name: value.detach().double().numpy() for name, value in mixer.named_parameters()}
    x, gate = np.split(hidden @ w["in_proj.weight"].T, 2, axis=1)
    kernel = w["conv1d.weight"][:, 0]
    behind = np.vstack([np.zeros((kernel.shape[1] - 1, x.shape[1])), x])
    x = silu(np.stack([(behind[t : t + kernel.shape[1]] * kernel.T).sum(0) for t in range(len(x))]) + w["conv1d.bias"])
    state_size = w["A_log"].shape[1]
    read = x @ w["x_proj.weight"].T
    step, into, out = np.split(read, [read.shape[1] - 2 * state_size, read.shape[1] - state_size], axis=1)
    step = np.log1p(np.exp(step @ w["dt_proj.weight"].T + w["dt_proj.bias"]))
    decay, state, answers = -np.exp(w["A_log"]), np.zeros(w["A_log"].shape), []
    for t in range(len(x)):
        state = np.exp(step[t][:, None] * decay) * state + step[t][:, None] * into[t] * x[t][:, None]
        answers.append(state @ out[t] + w["D"] * x[t])
    return (np.stack(answers) * silu(gate)) @ w["out_proj.weight"].T


@pytest.mark.parametrize("training", [False, True], ids=["sequential scan", "parallel scan"])
def test_the_block_is_the_published_recurrence(training: bool) -> None:
    model = net().train(training)
    mixer = model.layers[0].mixer
    hidden = np.random.default_rng(0).normal(size=(12, 16))
    found = mixer(torch.from_numpy(hidden[None]).float(), attention_mask=torch.ones(1, 12))[0].detach().numpy()
    np.testing.assert_allclose(found, recurrence(mixer, hidden), atol=1e-5)


def test_around_it_stands_what_the_paper_adds() -> None:
    model = net()
    sequence = torch.tensor([[3, 1, 4, 1, 5]])
    layer = model.layers[0]
    with torch.inference_mode():
        inner = model.first(model.item(sequence))
        read = layer.between(layer.mixer(inner))  # one block alone stands without a residual connection
        inside = torch.nn.functional.gelu(layer.wide(read))
        torch.testing.assert_close(model(sequence), layer.after(read + layer.narrow(inside)))
    assert layer.wide.out_features == 4 * 16


def test_the_future_does_not_reach_the_past() -> None:
    for training in (False, True):
        model = net(Hyper(dim=16, state=8, length=12, dropout=0.0)).train(training)
        one = torch.arange(1, 13)[None]
        two = one.clone()
        two[0, 8:] = 25
        first, second = model(one), model(two)
        torch.testing.assert_close(first[:, :8], second[:, :8])
        assert not torch.allclose(first[:, 8:], second[:, 8:])


def test_neither_padding_nor_neighbours_change_anything() -> None:
    model = net()
    rng = np.random.default_rng(0)
    histories = [rng.integers(0, 30, n) for n in (0, 1, 5, 12, 40)]
    scores = model.score(histories)
    padded = torch.from_numpy(np.pad(histories[2] + 1, (7, 0)))[None]
    with torch.inference_mode():
        np.testing.assert_allclose(scores[2], model.next_logits(padded)[0].numpy(), atol=1e-5)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[4], model.score([histories[4][-12:]])[0])
    np.testing.assert_array_equal(scores, np.concatenate([model.score([h]) for h in histories]))


def test_it_learns_the_walk_of_the_tiny_world(world: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hyper = Hyper(dim=32, state=8, length=16, rate=1e-2, batch=32, epochs=12)
    metrics = train(world, seed=3, out=tmp_path, hyper=hyper)
    assert metrics["test_hr@10"] > 0.25  # chance is 10 of about 95 unseen items
    model = build(world, weights=tmp_path)
    assert hits(leave_one_out_ranks(model.score, world), 10).mean() == metrics["test_hr@10"]
    assert load(tmp_path)[0].hyper == hyper
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_shipped_weights_reach_their_figures(ml100k_core: Dataset) -> None:
    model = build(ml100k_core)
    assert hits(leave_one_out_ranks(model.score, ml100k_core, "test"), 10).mean() >= 0.17
    assert hits(leave_one_out_ranks(model.score, ml100k_core, "valid"), 10).mean() >= 0.19
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 1_000_000
