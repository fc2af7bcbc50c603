"""One private step against its formula, and broken ones, which are found out before anybody's data is touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny_private import causal, people

from audit.errors import TargetError
from defenses.dp import loop, model
from defenses.dp.optimizer import PrivateSteps, check_step
from defenses.dp.secret import Secret

CLIP, NOISE, EXPECTED = 0.5, 0.7, 4.0
SHAPES = ((3, 5), (7,))


def given(units: int, seed: int = 0) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(0.01, 2.0, units)
    return [
        torch.tensor(rng.standard_normal((units, *s)) * sizes.reshape(-1, *[1] * len(s)), dtype=torch.float32)
        for s in SHAPES
    ]


def gradient_of(
    parts: list[list[torch.Tensor]], *, noise: float = NOISE, step: int = 3, make: Any = PrivateSteps
) -> Any:
    """What the plain optimizer is given."""
    parameters = [torch.zeros(s, requires_grad=True) for s in SHAPES]
    steps = make(parameters, noise=noise, clip=CLIP, expected=EXPECTED, secret=Secret.of(5))
    seen: list[Any] = []
    steps.plain.register_step_pre_hook(lambda *_: seen.append([p.grad.clone() for p in parameters]))
    steps.descend(parts, step=step, rate=0.1)
    assert len(seen) == 1
    return torch.cat([g.flatten() for g in seen[0]])


def test_a_step_is_clip_sum_noise_divide() -> None:
    gradients = given(5)
    flat = torch.cat([g.flatten(1) for g in gradients], 1).double()
    clipped = flat * (CLIP / flat.norm(dim=1, keepdim=True)).clamp(max=1)
    rng = Secret.of(5).rng("noise", 3)
    noise = np.concatenate([rng.standard_normal(s).ravel() for s in SHAPES]) * NOISE * CLIP
    expected = (clipped.sum(0) + torch.tensor(noise)) / EXPECTED
    torch.testing.assert_close(gradient_of([gradients]).double(), expected, rtol=1e-5, atol=1e-6)


def test_micro_batches_are_one_step_with_one_noise() -> None:
    gradients = given(5)
    cut = [[g[:2] for g in gradients], [g[2:2] for g in gradients], [g[2:] for g in gradients]]
    torch.testing.assert_close(gradient_of(cut), gradient_of([gradients]), rtol=1e-5, atol=1e-6)


def test_a_batch_of_nobody_is_a_step_with_noise() -> None:
    rng = Secret.of(5).rng("noise", 3)
    noise = np.concatenate([rng.standard_normal(s).ravel() for s in SHAPES]) * NOISE * CLIP / EXPECTED
    np.testing.assert_allclose(gradient_of([]).numpy(), noise, rtol=1e-5)
    np.testing.assert_allclose(gradient_of([given(0)]).numpy(), noise, rtol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_has_no_influence(bad: float) -> None:
    gradients = given(5)
    without = [torch.cat([g[:2], g[3:]]) for g in gradients]
    gradients[1][2, 4] = bad
    torch.testing.assert_close(gradient_of([gradients]), gradient_of([without]), rtol=1e-5, atol=1e-6)


def test_steps_differ_in_their_noise_and_secrets_too() -> None:
    assert not torch.allclose(gradient_of([], step=1), gradient_of([], step=2))
    assert not np.allclose(Secret.of(1).rng("noise", 0).random(4), Secret.of(2).rng("noise", 0).random(4))


def test_who_is_in_a_step_is_a_coin_of_each() -> None:
    secret = Secret.of(1)
    taken = np.zeros(50)
    sizes = []
    for step in range(2000):
        chosen = secret.sample(50, 0.1, step)
        taken[chosen] += 1
        sizes.append(len(chosen))
    # Binomial(2000, .1) per unit, binomial(50, .1) per step: means within five standard errors, and the right spread.
    assert np.all(abs(taken / 2000 - 0.1) < 5 * np.sqrt(0.09 / 2000))
    assert abs(np.var(sizes) / 4.5 - 1) < 0.2
    assert min(sizes) == 0
    assert secret.sample(50, 0.1, 7) == secret.sample(50, 0.1, 7)


class NoiseOff(PrivateSteps):
    """Broken: no noise is added."""

    def __init__(self, parameters: Any, *, noise: float, **rest: Any) -> None:
        super().__init__(parameters, noise=0.0, **rest)


class ClipPerBatch(PrivateSteps):
    """Broken: the mean of a batch is clipped, not each unit."""

    def _accumulate(self, part: Any) -> None:
        if not len(part[0]):
            return
        whole = [g.mean(0, keepdim=True) for g in part]
        self.private.max_grad_norm *= EXPECTED
        super()._accumulate([g * EXPECTED for g in whole])
        self.private.max_grad_norm /= EXPECTED


class SkipsNobody(PrivateSteps):
    """Broken: a step of nobody is skipped."""

    def descend(self, parts: Any, **rest: Any) -> int:
        parts = list(parts)
        return super().descend(parts, **rest) if parts else 0


class NoisePerMicroBatch(PrivateSteps):
    """Broken: the noise is divided by the units that are there, as a mean would."""

    def descend(self, parts: Any, **rest: Any) -> int:
        parts = list(parts)
        self.private.expected_batch_size = max(sum(len(p[0]) for p in parts), 1)
        return super().descend(parts, **rest)


BROKEN = {
    NoiseOff: "noise of a step has 0 times",
    ClipPerBatch: "not clipped unit by unit",
    SkipsNobody: "0 times instead of once",
    NoisePerMicroBatch: "clipping norm|standard deviation",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: b.__name__)
def test_broken_steps_are_found_out(broken: type[PrivateSteps]) -> None:
    with pytest.raises(TargetError, match=BROKEN[broken]):
        check_step(noise=NOISE, clip=CLIP, expected=EXPECTED, make=broken)


@pytest.mark.parametrize("noise", [0.0, 0.4, 2.0])
def test_the_right_steps_pass(noise: float) -> None:
    check_step(noise=noise, clip=CLIP, expected=32.0)


def test_a_training_with_broken_steps_does_not_begin(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PrivateSteps", NoiseOff)
    with pytest.raises(TargetError, match="noise of a step"):
        model.train(causal(), people(20), out=tmp_path, batch=4, epochs=1, share=1.0, accountant="rdp")
    assert not loop.checkpoints(tmp_path)
