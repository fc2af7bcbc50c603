"""Packing changes what a model costs, never what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audit.targets.packing import Group, common_prefix, pack


def test_common_prefix_leaves_a_token_to_every_prompt():
    assert common_prefix([[1, 2, 3], [1, 2, 4]]) == 2
    assert common_prefix([[1, 2], [1, 2]]) == 1
    assert common_prefix([[1, 2, 3], [1, 2]]) == 1
    assert common_prefix([[5], [6]]) == 0
    assert common_prefix([[5]]) == 0


def test_mask_lets_a_branch_see_its_prefix_and_itself():
    packed = pack([Group([7, 8], [[1, 2], [3]]), Group([], [[4]])], pad=0, dtype=torch.float32)
    sees = (packed.attention_mask[:, 0] == 0).int().tolist()
    assert sees[0] == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]
    assert packed.position_ids[0].tolist() == [0, 1, 2, 3, 2]
    assert packed.input_ids[1].tolist() == [4, 0, 0, 0, 0]
    assert packed.rows.tolist() == [0, 0, 1]
    assert packed.ends.tolist() == [3, 4, 0]
    # Padding sees itself only, and nothing sees it.
    assert sees[1] == np.eye(5, dtype=int).tolist()


def test_packed_scores_equal_one_prompt_at_a_time(tiny_lm):
    rng = np.random.default_rng(0)
    groups = []
    for prefix, branches in [(30, 5), (0, 3), (7, 1), (18, 9)]:
        shared = rng.integers(3, 400, prefix).tolist()
        groups.append([shared + rng.integers(3, 400, rng.integers(1, 9)).tolist() for _ in range(branches)])
    packed = tiny_lm.next_logits(groups)
    with torch.inference_mode():
        for prompts, rows in zip(groups, packed, strict=True):
            for prompt, row in zip(prompts, rows, strict=True):
                alone = tiny_lm.model(torch.tensor([prompt])).logits[0, -1]
                assert torch.allclose(row, alone, atol=1e-4)


@pytest.mark.parametrize("only", [None, [5, 17]])
def test_a_score_does_not_depend_on_the_rest_of_the_batch(tiny_lm, only):
    rng = np.random.default_rng(1)
    groups = [[rng.integers(3, 400, n).tolist()] for n in rng.integers(2, 90, 16)]
    together = tiny_lm.next_logits(groups, only=only)
    for group, rows in zip(groups, together, strict=True):
        # To the last bit: a resumed audit asks in other batches and must end with the same findings.
        assert torch.equal(tiny_lm.next_logits([group], only=only)[0], rows)


def test_gradients_pass_through_the_packed_forward(tiny_lm):
    tiny_lm.hidden([Group([3, 4], [[5], [6, 7]])]).sum().backward()
    assert tiny_lm.model.model.layers[0].self_attn.q_proj.weight.grad.abs().sum() > 0


def test_a_model_with_windowed_attention_is_asked_plainly():
    from tiny_lms import tiny_tokenizer
    from transformers import MistralConfig, MistralForCausalLM

    from audit.targets.lm import CausalLM

    config = MistralConfig(
        vocab_size=480,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=4,
        initializer_range=0.3,
    )
    lm = CausalLM(MistralForCausalLM(config), tiny_tokenizer())
    prompts = [list(range(10, 30)), [*range(10, 29), 40]]
    rows = lm.next_logits([prompts])[0]
    with torch.inference_mode():
        alone = torch.stack([lm.model(torch.tensor([p])).logits[0, -1] for p in prompts])
    assert torch.allclose(rows, alone, atol=1e-4)


def test_split_keeps_every_branch_and_the_limit():
    group = Group([1] * 10, [[2] * n for n in (3, 4, 5, 6, 40)])
    parts = group.split(20)
    assert [b for part in parts for b in part.branches] == list(group.branches)
    assert all(len(part) <= 20 or len(part.branches) == 1 for part in parts)
