"""The engine changes what a model costs, never what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import SMALL, model

from audit.targets.engine import memory
from audit.targets.engine.attention import Unsupported
from audit.targets.engine.causal import ContinuationScore, PrefixEngine
from audit.targets.engine.plan import BLOCK

FLOAT32 = 1e-4
BFLOAT16 = 0.15
"""In nats per token, for random weights that make logits of ten: eight bits of mantissa are 0.04 there."""

CAUSAL = ("llama", "gpt2")
EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def worlds(draw):
    """Prompts that share some of their beginning, and continuations that share some of theirs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    trunk = rng.integers(3, 400, draw(st.integers(0, 2 * BLOCK + 9))).tolist()
    prompts, continuations = [], []
    for _ in range(draw(st.integers(1, 5))):
        shared = draw(st.integers(0, len(trunk)))
        prompts.append([*trunk[:shared], *rng.integers(3, 400, rng.integers(1, 50)).tolist()])
        words = int(rng.choice([2, 400]))
        continuations.append([rng.integers(3, 3 + words, n).tolist() for n in rng.integers(0, 7, rng.integers(1, 6))])
    return prompts, continuations


def alone(lm, prompt, continuation) -> list[float]:
    """One sequence, nothing beside it, through the model as it comes."""
    with torch.inference_mode():
        logits = lm(input_ids=torch.tensor([[*prompt, *continuation]])).logits[0].float().log_softmax(-1)
    return [float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(continuation)]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", FLOAT32), ("bfloat16", BFLOAT16)])
@pytest.mark.parametrize("name", CAUSAL)
@EXAMPLES
@given(world=worlds(), budget=st.sampled_from([1, 60, 300, 2048]), cache=st.sampled_from([0, 20_000, 1 << 20]))
def test_scores_equal_one_sequence_at_a_time(name, dtype, tolerance, world, budget, cache):
    prompts, continuations = world
    lm = model(name, dtype)
    engine = PrefixEngine(lm, max_tokens=budget, max_cache_bytes=cache)
    found = engine.score_continuations(prompts, continuations)
    for prompt, group, scores in zip(prompts, continuations, found, strict=True):
        for continuation, score in zip(group, scores, strict=True):
            assert score.tokens == pytest.approx(alone(lm, prompt, continuation), abs=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", CAUSAL)
@EXAMPLES
@given(world=worlds(), budget=st.sampled_from([1, 60, 300, 2048]), data=st.data())
def test_a_request_has_the_same_bits_in_every_order_batch_and_cache(name, dtype, world, budget, data):
    prompts, continuations = world
    engine = PrefixEngine(model(name, dtype))
    expected = engine.score_continuations(prompts, continuations)
    order = data.draw(st.permutations(range(len(prompts))))
    other = PrefixEngine(
        model(name, dtype), max_tokens=budget, max_cache_bytes=data.draw(st.sampled_from([0, 1 << 20]))
    )
    shuffled = other.score_continuations([prompts[i] for i in order], [continuations[i] for i in order])
    assert [shuffled[order.index(i)] for i in range(len(prompts))] == expected
    # Warm: everything in front of the answers is known now.
    assert engine.score_continuations(prompts, continuations) == expected


def test_a_resumed_run_finds_the_bits_of_an_uninterrupted_one():
    rng = np.random.default_rng(0)
    instruction = rng.integers(3, 400, 70).tolist()
    groups = [
        [[*instruction, *user, *item] for item in rng.integers(3, 400, (4, 5)).tolist()]
        for user in rng.integers(3, 400, (12, 40)).tolist()
    ]
    lm = model("llama", "bfloat16")
    whole = PrefixEngine(lm).next_logits(groups, only=[5, 9])
    warm = PrefixEngine(lm)
    first = [row for group in groups[:5] for row in warm.next_logits([group], only=[5, 9])]
    cold = PrefixEngine(lm).next_logits(groups[5:], only=[5, 9])
    assert all(torch.equal(a, b) for a, b in zip(whole, [*first, *cold], strict=True))


def test_a_score_does_not_depend_on_the_columns_asked_for():
    prompts = [[list(range(10, 60))]]
    engine = PrefixEngine(model("llama", "bfloat16"))
    two = engine.next_logits(prompts, only=[4, 7])[0]
    many = engine.next_logits(prompts, only=[7, 300, 4])[0]
    assert torch.equal(two, many[:, [2, 0]])


@pytest.mark.parametrize("name", CAUSAL)
def test_left_padding_and_positions_are_those_of_the_prompt_alone(name):
    """The engine pads nowhere inside a prompt; a batch padded on the left, told its positions, says the same."""
    rng = np.random.default_rng(1)
    prompts = [rng.integers(3, 400, n).tolist() for n in (3, 17, 60)]
    longest = max(map(len, prompts))
    ids = torch.zeros((3, longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    lm = model(name)
    with torch.inference_mode():
        padded = lm(input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0)).logits[:, -1]
        plain = torch.stack([lm(input_ids=torch.tensor([p])).logits[0, -1] for p in prompts])
    found = torch.cat(PrefixEngine(lm).next_logits([[p] for p in prompts]))
    assert torch.allclose(found, plain, atol=FLOAT32)
    assert torch.allclose(found, padded, atol=FLOAT32)


def test_what_requests_share_is_computed_once():
    rng = np.random.default_rng(2)
    instruction, history = rng.integers(3, 400, 2 * BLOCK).tolist(), rng.integers(3, 400, BLOCK).tolist()
    engine = PrefixEngine(model("llama"))
    engine.next_logits([[[*instruction, *history, 5]], [[*instruction, *history[::-1], 5]]])
    assert engine.stats.misses == 4
    engine.next_logits([[[*instruction, *history, 6]], [[*instruction, *history, 7]]])
    assert engine.stats.misses == 4
    # An edit in the history: what stands before it is known.
    engine.next_logits([[[*instruction, 11, *history, 6]]])
    assert engine.stats.misses == 5


def test_the_cache_stays_below_its_bound():
    engine = PrefixEngine(model("llama"), max_cache_bytes=50_000)
    rng = np.random.default_rng(3)
    for _ in range(6):
        engine.next_logits([[rng.integers(3, 400, 100).tolist()]])
    assert engine.stats.bytes <= 50_000
    assert engine.stats.dropped > 0


def test_sum_and_mean():
    score = ContinuationScore((-1.0, -3.0))
    assert (score.sum, score.mean) == (-4, -2)
    assert ContinuationScore(()).mean == 0


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_models_that_fit_have_nothing_to_note(name, dtype):
    engine = PrefixEngine(model(name, dtype))
    assert (engine.works, engine.note, engine.runner.mixes) == (True, "", True)
    assert engine.stats.bytes == engine.stats.hits == 0
    assert engine.runner.model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("name", "said"), [("mistral", "the last 16 tokens"), ("mamba", "no positions"), ("bloom", "no positions")]
)
def test_models_that_do_not_fit_are_told_apart(name, said):
    engine = PrefixEngine(model(name))
    assert not engine.works
    assert said in engine.note
    assert "one prompt at a time" in engine.note


def test_a_window_wider_than_the_prompts_is_no_obstacle():
    from transformers import MistralConfig, MistralForCausalLM

    engine = PrefixEngine(MistralForCausalLM(MistralConfig(**SMALL, sliding_window=128)).eval())
    assert engine.works
    assert engine.reach == 128
    prompt = list(range(5, 125))
    with torch.inference_mode():
        plain = engine.runner.model(input_ids=torch.tensor([prompt])).logits[0, -1]
    assert torch.allclose(engine.next_logits([[prompt]])[0][0], plain, atol=FLOAT32)
    with pytest.raises(Unsupported, match="the last 128 tokens"):
        engine.next_logits([[prompt * 2]])


def test_a_model_whose_answers_differ_behind_a_prefix_is_refused():
    from transformers import LlamaForCausalLM

    lm = LlamaForCausalLM(model("llama").config).eval()
    body = lm.model.forward
    lm.model.forward = lambda position_ids=None, **kwargs: body(**kwargs)
    engine = PrefixEngine(lm)
    assert not engine.works
    assert "something else" in engine.note


def test_a_model_that_mixes_up_rows_is_asked_one_request_at_a_time():
    from transformers import LlamaForCausalLM

    lm = LlamaForCausalLM(model("llama").config).eval()

    def noisy(module, inputs, output):
        return output + 1e-6 * output.shape[1]

    lm.model.layers[0].mlp.register_forward_hook(noisy)
    engine = PrefixEngine(lm)
    assert engine.works
    assert "one request at a time" in engine.note
    groups = [[[*range(5, 80), n], [*range(5, 80), n + 9]] for n in range(6)]
    together = engine.next_logits(groups)
    engine.runner.cache.clear()
    for group, rows in zip(groups[::-1], together[::-1], strict=True):
        assert torch.equal(engine.next_logits([group])[0], rows)


def test_a_pass_that_does_not_fit_the_memory_is_halved(monkeypatch):
    engine = PrefixEngine(model("llama"), max_tokens=1024)
    groups = [[[*range(5, 70 + n), n]] for n in range(20)]
    expected = PrefixEngine(model("llama")).next_logits(groups)
    forward = engine.runner.forward

    def small(ids, positions, segments):
        if len(ids) > 300:
            raise torch.OutOfMemoryError("no")
        return forward(ids, positions, segments)

    monkeypatch.setattr(engine.runner, "forward", small)
    assert all(torch.equal(a, b) for a, b in zip(engine.next_logits(groups), expected, strict=True))


def test_the_budget_follows_the_memory(monkeypatch):
    config, cpu = model("llama").config, torch.device("cpu")
    for free, expected in ((10**12, memory.MOST), (0, memory.LEAST)):
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: free)
        assert memory.token_budget(config, cpu, 2) == expected


def greedy(lm, prompt, steps, ends=()) -> list[int]:
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(steps):
            token = int(lm(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            if token in ends:
                break
            ids.append(token)
    return ids[len(prompt) :]


@pytest.mark.parametrize("name", CAUSAL)
def test_text_equals_one_step_at_a_time(name):
    rng = np.random.default_rng(4)
    instruction = rng.integers(3, 400, BLOCK + 3).tolist()
    prompts = [[*instruction, *rng.integers(3, 400, n).tolist()] for n in (1, 20, 29, 40, 41)] + [[7]]
    free = [greedy(model(name), p, 8) for p in prompts]
    ends = frozenset({free[0][2], free[3][5]})
    expected = [greedy(model(name), p, 8, ends) for p in prompts]
    assert PrefixEngine(model(name)).generate(prompts, max_new_tokens=8, ends=ends) == expected
    assert len({len(text) for text in expected}) > 1


def test_text_does_not_depend_on_the_rows_beside_it():
    rng = np.random.default_rng(5)
    prompts = [rng.integers(3, 400, n).tolist() for n in rng.integers(1, 130, 12)]
    engine = PrefixEngine(model("llama", "bfloat16"))
    expected = engine.generate(prompts, max_new_tokens=20, ends={2})
    for rows in (1, 3, 5):
        assert engine.generate(prompts[::-1], max_new_tokens=20, ends={2}, rows=rows)[::-1] == expected


def test_training_empties_the_cache():
    from tiny_lms import tiny_model

    lm = tiny_model().eval()
    engine = PrefixEngine(lm)
    prompts = [[list(range(5, 80))]]
    engine.next_logits(prompts)
    with torch.no_grad():
        lm.model.layers[0].mlp.up_proj.weight.mul_(2)
    assert torch.equal(engine.next_logits(prompts)[0], PrefixEngine(lm).next_logits(prompts)[0])
