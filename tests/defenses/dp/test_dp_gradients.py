"""Per-sample gradients against one backward pass per sample, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_lms import tiny_model
from tiny_private import rows, stirred, tiny_t5

from audit.errors import ConfigError, TargetError
from defenses.dp import loop
from defenses.dp.gradients import IGNORED, Row, Rows, check_model

MODELS = {"causal": tiny_model, "seq2seq": tiny_t5}


def by_hand(model: Any, row: Row) -> torch.Tensor:
    """The gradient of one sequence's mean loss, by the loss that comes with the model, on it alone."""
    model.zero_grad()
    if model.config.is_encoder_decoder:
        loss = model(input_ids=torch.tensor([row.prompt]), labels=torch.tensor([row.answer])).loss
    else:
        ids = [*row.prompt, *row.answer]
        labels = [IGNORED] * len(row.prompt) + list(row.answer)
        loss = model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss
    loss.backward()
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])
    model.zero_grad()
    return found


def all_gradients(source: Rows, units: list[int]) -> torch.Tensor:
    parts = [torch.cat([g.flatten(1) for g in found], 1) for found, _ in source.gradients(units)]
    return torch.cat(parts)


@pytest.mark.parametrize("mode", ["hooks", "functorch"])
@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_per_sample_gradients_are_those_of_one_by_one(kind: str, mode: str) -> None:
    model = stirred(MODELS[kind]())
    some = rows([4, 9, 2, 6, 7])
    expected = torch.stack([by_hand(model.train(), row) for row in some])
    source = Rows(model, [[row] for row in some], pad=0, mode=mode, physical=3)
    found = all_gradients(source, [0, 1, 2, 3, 4])
    source.close()
    assert float((found - expected).norm() / expected.norm()) < 1e-4
    assert float(((found - expected).norm(dim=1) / expected.norm(dim=1)).max()) < 1e-4


def test_the_gradient_of_a_user_is_the_mean_over_their_rows_however_they_are_cut() -> None:
    model = stirred(tiny_model())
    some = rows([4, 9, 2, 6])
    each = torch.stack([by_hand(model.train(), row) for row in some])
    for physical in (1, 3, 8):
        source = Rows(model, [some[:3], some[3:]], pad=0, physical=physical)
        found = all_gradients(source, [0, 1])
        source.close()
        torch.testing.assert_close(found, torch.stack([each[:3].mean(0), each[3]]), rtol=1e-4, atol=1e-6)


def test_a_gradient_does_not_depend_on_the_company() -> None:
    model = stirred(tiny_model())
    mine, short, long = rows([6])[0], rows([2, 2, 2], seed=1), rows([12, 12, 12], seed=1)
    found = []
    for others in (short, long):
        source = Rows(model, [[mine], *([row] for row in others)], pad=0)
        found.append(all_gradients(source, [0, 1, 2, 3])[0])
        loop.check_company(source, range(4))
        source.close()
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


class BatchTokenMean(Rows):
    """Broken: the loss that comes with a model, the mean over all tokens of a batch."""

    def losses(self, rows: Any) -> torch.Tensor:
        counts = torch.tensor([len(row.answer) for row in rows], dtype=torch.float32)
        return super().losses(rows) * counts / counts.sum() * len(rows)


def test_the_mean_over_the_tokens_of_a_batch_is_found_out() -> None:
    source = BatchTokenMean(stirred(tiny_model()), [[row] for row in rows([3, 12, 3, 12])], pad=0)
    with pytest.raises(TargetError, match="who else is in the batch"):
        loop.check_company(source, range(4))


def checkpointing(model: Any) -> Any:
    model.get_base_model().gradient_checkpointing_enable()
    return model


def saving_the_head(_: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM")
    return get_peft_model(tiny_model(tie_word_embeddings=False), config)


def normalising(model: Any) -> Any:
    model.get_base_model().model.norm = torch.nn.BatchNorm1d(32)
    return model


@pytest.mark.parametrize(
    ("change", "mode", "said"),
    [
        (checkpointing, "hooks", "gradient checkpointing"),
        (saving_the_head, "hooks", r"lm_head.*outside the private optimizer"),
        (normalising, "hooks", "batch normalisation"),
        (lambda m: m, "ew", "must be hooks, functorch or ghost"),
    ],
)
def test_what_voids_a_guarantee_is_refused_with_the_reason(change: Callable[[Any], Any], mode: str, said: str) -> None:
    model = change(stirred(tiny_model()))
    optimized = {name: p for name, p in model.named_parameters() if "lora_" in name}
    with pytest.raises(ConfigError, match=said):
        check_model(model, optimized, mode)


def test_a_row_without_a_token_to_learn_is_refused() -> None:
    for prompt, answer in (([1], []), ([], [3])):
        with pytest.raises(ConfigError, match="without a token to learn"):
            Row(prompt, answer)
