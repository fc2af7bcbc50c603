"""Ghost clipping against gradients that are clipped one by one, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_dp_gradients import by_hand
from tiny_lms import tiny_model
from tiny_private import causal, people, rows, stirred, tiny_t5

from audit.errors import ConfigError, TargetError
from defenses.dp import loop
from defenses.dp.ghost import GhostRows, linear_norms
from defenses.dp.gradients import Rows
from defenses.dp.model import train
from defenses.dp.optimizer import Clipped, PrivateSteps
from defenses.dp.secret import Secret

MODELS = {"causal": tiny_model, "seq2seq": tiny_t5}


def clipped(gradients: torch.Tensor, clip: float) -> torch.Tensor:
    """The sum of gradients (units, weights), each clipped."""
    return (gradients * (clip / gradients.norm(dim=1, keepdim=True)).clamp(max=1)).sum(0)


def total(parts: Iterator[tuple[Clipped, Sequence[float]]]) -> torch.Tensor:
    return torch.stack([torch.cat([t.flatten() for t in part.total]) for part, _ in parts]).sum(0)


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_the_clipped_sum_is_that_of_gradients_one_by_one(kind: str) -> None:
    model = stirred(MODELS[kind]())
    some = rows([4, 9, 2, 6, 7])
    each = torch.stack([by_hand(model.train(), row) for row in some]).double()
    norms = each.norm(dim=1)
    source = GhostRows(model, [[row] for row in some], pad=0, physical=2)
    # All clipped, some clipped, nobody clipped.
    for clip in (float(norms.min()) / 2, float(norms.median()), float(norms.max()) * 2):
        found = total(source.clipped([0, 1, 2, 3, 4], clip)).double()
        assert float((found - clipped(each, clip)).norm() / clip) < 1e-4
    told = [loss for _, losses in source.clipped([0, 1, 2, 3, 4], 1.0) for loss in losses]
    own = [loss for _, losses in source.gradients([0, 1, 2, 3, 4]) for loss in losses]
    assert told == pytest.approx(own, rel=1e-5)
    source.close()


def test_its_gradients_one_by_one_are_those_of_hooks() -> None:
    some = rows([4, 9, 2])
    found = []
    for make in (Rows, GhostRows):
        source = make(stirred(tiny_model()), [[row] for row in some], pad=0)
        found.append(torch.cat([torch.cat([g.flatten(1) for g in part], 1) for part, _ in source.gradients([0, 1, 2])]))
        source.close()
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_a_training_with_ghost_clipping_is_the_training_with_hooks(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    options: dict[str, Any] = {"epsilon": 8.0, "batch": 6, "steps": 3, "rank": 2, "share": 1.0, "clip": 0.05}
    found = []
    for mode in ("hooks", "ghost"):
        train(causal(), people(24), out=tmp_path / mode, secret=Secret.of(3), mode=mode, **options)
        found.append(load_file(tmp_path / mode / "adapter_model.safetensors"))
    assert found[0].keys() == found[1].keys()
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], rtol=1e-3, atol=1e-5, msg=name)


def test_lengths_of_a_linear_layer_are_those_of_its_gradients() -> None:
    draw = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(5, 3)
    into = torch.randn((4, 6, 5), generator=draw)
    back = torch.randn((4, 6, 3), generator=draw)
    found = linear_norms(layer, [into], back)
    weights = torch.einsum("uto,uti->uoi", back.double(), into.double())
    torch.testing.assert_close(found[layer.weight], weights.flatten(1).norm(dim=1))
    torch.testing.assert_close(found[layer.bias], back.double().sum(1).norm(dim=1))


def test_a_unit_whose_gradient_is_no_number_adds_nothing() -> None:
    class Broken(GhostRows):
        def losses(self, rows: Any) -> torch.Tensor:
            found = super().losses(rows)
            return torch.stack(
                [x * float("inf") if len(r.answer) == 9 else x for x, r in zip(found, rows, strict=True)]
            )

    model = stirred(tiny_model())
    some = rows([4, 9, 2])
    sound = GhostRows(model, [[row] for row in some], pad=0)
    expected = total(sound.clipped([0, 2], 0.1))
    sound.close()
    broken = Broken(model, [[row] for row in some], pad=0)
    torch.testing.assert_close(total(broken.clipped([0, 1, 2], 0.1)), expected, rtol=1e-4, atol=1e-6)
    assert not total(broken.clipped([1], 0.1)).any()
    broken.close()


def test_lengths_that_are_too_small_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    true = GhostRows._norms
    source = GhostRows(stirred(tiny_model()), [[row] for row in rows([4, 9, 2, 6])], pad=0)
    loop.check_clipping(source, range(4))
    monkeypatch.setattr(GhostRows, "_norms", lambda self, losses: true(self, losses) / 2)
    with pytest.raises(TargetError, match=r"nobody's influence is bounded; use mode hooks"):
        loop.check_clipping(source, range(4))
    source.close()


def test_a_sum_longer_than_clipped_gradients_can_give_is_refused() -> None:
    parameter = torch.zeros(4, requires_grad=True)
    steps = PrivateSteps([parameter], noise=0.0, clip=0.5, expected=2.0, secret=Secret.of(1))
    given: list[torch.Tensor] = []
    steps.plain.register_step_pre_hook(lambda *_: given.append(parameter.grad.clone()))
    sound = Clipped([torch.tensor([0.6, 0.8, 0.0, 0.0])], 2)
    assert steps.descend([sound, sound], step=0, rate=0.1) == 4
    torch.testing.assert_close(given[0], torch.tensor([0.6, 0.8, 0.0, 0.0]))
    with pytest.raises(TargetError, match="not clipped unit by unit"):
        steps.descend([replace(sound, units=1)], step=1, rate=0.1)


def tied(model: Any) -> Any:
    # One weight under two layers that are trained.
    named = dict(model.named_modules())
    one, two = (
        m
        for n, m in named.items()
        if n.endswith(("0.self_attn.q_proj.lora_A.default", "1.self_attn.q_proj.lora_A.default"))
    )
    two.weight = one.weight
    return model


def half(model: Any) -> Any:
    return model.to(torch.bfloat16)


@pytest.mark.parametrize(
    ("change", "units", "said"),
    [
        (lambda m: m, [rows([4, 2])], r"dp\.rows: ghost clipping.*rows=1"),
        (tied, [rows([4])], r"dp\.mode: ghost clipping does not support tied weights.*use hooks"),
        (half, [rows([4])], r"dp\.mode:.*bfloat16.*float32"),
    ],
)
def test_what_ghost_clipping_cannot_do_is_refused(change: Any, units: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        GhostRows(change(stirred(tiny_model())), units, pad=0)


def test_a_user_of_several_rows_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dp\.rows: ghost clipping"):
        train(causal(), people(24, per=2), out=tmp_path, mode="ghost", rows=2, batch=4, steps=2, share=1.0)
    assert not list(tmp_path.glob("*.safetensors"))
