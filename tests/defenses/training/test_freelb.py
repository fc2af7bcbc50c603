"""FreeLB: the ascent, the averaged gradients, and what training with them does to a toy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from audit.errors import ConfigError
from defenses.training import freelb
from defenses.training.freelb import Ascent, Shifts

MASKS = (torch.tensor([[1, 1, 0], [1, 1, 1]]).bool(), torch.tensor([[1, 1], [1, 0]]).bool())
DIM = 4


def recorded(loss, ascent: Ascent, seed: int = 0) -> list[Shifts]:
    """The perturbations that the loss was asked about."""
    seen: list[Shifts] = []

    def watched(shifts: Shifts) -> Tensor:
        seen.append(tuple(s.detach().clone() for s in shifts))
        return loss(shifts)

    torch.manual_seed(seed)
    freelb.backward(watched, MASKS, DIM, ascent)
    return seen


def linear(shifts: Shifts) -> Tensor:
    slopes = torch.arange(1.0, 25.0).view(2, 3, 4), torch.arange(-8.0, 8.0).view(2, 2, 4)
    return sum(((s * g).sum() for s, g in zip(shifts, slopes, strict=True)), torch.tensor(0.0))


def norm_of(shifts: Shifts, example: int) -> float:
    return math.sqrt(sum(float((s[example] ** 2).sum()) for s in shifts))


@pytest.mark.parametrize(("start", "norm"), [(0.5, 1.0), (5.0, 0.3), (0.0, 0.7)])
def test_no_perturbation_leaves_the_ball_and_none_touches_padding(start: float, norm: float) -> None:
    seen = recorded(linear, Ascent(steps=6, rate=0.4, start=start, norm=norm))
    assert len(seen) == 6
    for shifts in seen:
        for example in range(2):
            assert norm_of(shifts, example) <= norm * (1 + 1e-6)
        for shift, mask in zip(shifts, MASKS, strict=True):
            assert not shift[~mask].any()
    # Five steps of .4 along the same slope reach the border of each of these balls.
    assert [norm_of(seen[-1], example) for example in range(2)] == pytest.approx([norm, norm], rel=1e-5)


def test_the_first_perturbation_is_uniform_and_scaled_by_the_number_of_coordinates() -> None:
    drawn = [recorded(linear, Ascent(steps=1, start=0.5, norm=9.0), seed)[0] for seed in range(400)]
    for example, tokens in ((0, 4), (1, 4)):
        bound = 0.5 / math.sqrt(tokens * DIM)
        values = torch.cat(
            [s[example][m[example]].ravel() for shifts in drawn for s, m in zip(shifts, MASKS, strict=True)]
        )
        assert float(values.abs().max()) <= bound
        assert float(values.std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)
        assert float(values.mean()) == pytest.approx(0.0, abs=0.05 * bound)


def test_a_step_goes_along_the_normalised_gradient_of_each_example() -> None:
    before, after = recorded(linear, Ascent(steps=2, rate=0.25, start=0.4, norm=99.0))
    slopes = torch.arange(1.0, 25.0).view(2, 3, 4), torch.arange(-8.0, 8.0).view(2, 2, 4)
    slopes = tuple(g * m[..., None] for g, m in zip(slopes, MASKS, strict=True))
    for example in range(2):
        size = norm_of(slopes, example)
        for old, new, slope in zip(before, after, slopes, strict=True):
            torch.testing.assert_close(new[example], old[example] + 0.25 * slope[example] / size)


def test_an_example_without_a_gradient_stays_where_it_is() -> None:
    before, after = recorded(lambda shifts: shifts[0][0].pow(2).sum(), Ascent(steps=2, rate=0.3, start=0.2, norm=9.0))
    torch.testing.assert_close(after[1][1], before[1][1])
    torch.testing.assert_close(after[0][1], before[0][1])
    assert not torch.equal(after[0][0], before[0][0])


def test_the_gradients_are_the_mean_along_the_ascent_as_by_hand() -> None:
    """Against algorithm 1 written out in NumPy for a logistic loss, whose derivatives are known."""
    rng = np.random.default_rng(3)
    x, y, w = rng.normal(size=(3, 2, 4)), np.array([1.0, -1.0, 1.0]), rng.normal(size=4)
    ascent = Ascent(steps=3, rate=0.2, start=0.3, norm=0.35)
    masks = [torch.ones(3, 2, dtype=torch.bool)]
    weight = torch.tensor(w, dtype=torch.float32, requires_grad=True)
    inputs, truth = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)

    def loss(shifts: Shifts) -> Tensor:
        return torch.nn.functional.softplus(-truth * ((inputs + shifts[0]) @ weight).sum(1)).mean()

    torch.manual_seed(5)
    returned = freelb.backward(loss, masks, 4, ascent)

    torch.manual_seed(5)
    delta = (torch.rand(3, 2, 4).numpy() * 2 - 1).astype(float) * 0.3 / math.sqrt(8)
    total, gradient = 0.0, np.zeros(4)
    for _ in range(3):
        margin = y * ((x + delta) @ w).sum(1)
        slope = -y / (1 + np.exp(margin)) / 3  # d loss / d score, mean over three examples
        total += np.log1p(np.exp(-margin)).mean() / 3
        gradient += (slope[:, None] * (x + delta).sum(1)).sum(0) / 3
        ascent_slope = slope[:, None, None] * np.broadcast_to(w, (3, 2, 4))
        delta = delta + 0.2 * ascent_slope / np.sqrt((ascent_slope**2).sum((1, 2)))[:, None, None]
        size = np.sqrt((delta**2).sum((1, 2)))[:, None, None]
        delta = delta * np.where(size > 0.35, 0.35 / size, 1.0)
    assert returned == pytest.approx(total, rel=1e-5)
    np.testing.assert_allclose(weight.grad.numpy(), gradient, rtol=1e-4)


def test_one_step_without_a_start_is_plain_training() -> None:
    layer = torch.nn.Linear(4, 1)
    x = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    plain = torch.autograd.grad(layer(x).pow(2).mean(), list(layer.parameters()))
    masks = [torch.ones(5, 3, dtype=torch.bool)]
    freelb.backward(lambda shifts: layer(x + shifts[0]).pow(2).mean(), masks, 4, Ascent(1, 0.1, 0.0, 0.0))
    for parameter, expected in zip(layer.parameters(), plain, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


def test_all_steps_of_a_batch_share_one_dropout_mask() -> None:
    dropout, masks = torch.nn.Dropout(0.5), []

    def loss(shifts: Shifts) -> Tensor:
        kept = dropout(torch.ones(64))
        masks.append(kept.clone())
        return linear(shifts) * kept.mean()

    torch.manual_seed(1)
    freelb.backward(loss, MASKS, DIM, Ascent(steps=3))
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])
    freelb.backward(loss, MASKS, DIM, Ascent(steps=2))
    assert not torch.equal(masks[0], masks[3])


def attacked_loss(weight: Tensor, x: Tensor, y: Tensor, norm: float) -> float:
    """The worst logistic loss in the ball, which for a linear model is known."""
    return float(torch.nn.functional.softplus(-(y * (x @ weight) - norm * weight.norm())).mean())


def trained(x: Tensor, y: Tensor, ascent: Ascent) -> Tensor:
    """The weights of a logistic model after sixty steps."""
    weight = torch.full((6,), 2.0, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.5)
    masks = [torch.ones(len(x), 1, dtype=torch.bool)]

    def loss(shifts: Shifts) -> Tensor:
        return torch.nn.functional.softplus(-y * ((x + shifts[0]).squeeze(1) @ weight)).mean()

    torch.manual_seed(0)
    for _ in range(60):
        optimizer.zero_grad()
        freelb.backward(loss, masks, 6, ascent)
        optimizer.step()
    return weight.detach()


def test_training_along_the_ascent_lowers_the_loss_under_attack_more_than_plain_training() -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, 1, 6, generator=draw), torch.ones(64)
    y[32:] = -1
    # One coordinate tells the label by a wide margin, five do by a narrow one.
    x[:, 0] = 0.2 * x[:, 0] + y[:, None] * torch.tensor([2.0, 0.1, 0.1, 0.1, 0.1, 0.1])
    found = {}
    for name, ascent in (("plain", Ascent(1, 0.1, 0.0, 0.0)), ("freelb", Ascent(3, 1.5, 0.5, 1.5))):
        weight = trained(x, y, ascent)
        found[name] = attacked_loss(weight, x.squeeze(1), y, 1.5)
    start = attacked_loss(torch.full((6,), 2.0), x.squeeze(1), y, 1.5)
    assert found["freelb"] < 0.5 * found["plain"] < start


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"rate": -1.0}, "rate"),
        ({"start": math.nan}, "start"),
        ({"norm": math.inf}, "norm"),
        ({"norm": "1"}, "norm"),
    ],
)
def test_a_number_out_of_range_is_named(options: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError, match=rf"ascent\.{field}: .* must be"):
        Ascent(**options)
