"""How sharp a prediction was at each token, against sums over the vocabulary written as loops."""

import math
from pathlib import Path

import numpy as np
import pytest
from helpers import request
from tiny_lms import tiny_model, tiny_tokenizer

from audit.target import Adapted, GivesTokenMoments
from audit.targets.hf import HFTarget
from audit.targets.lm import CausalLM
from audit.targets.seq2seq import Seq2SeqLM


@pytest.fixture(scope="module")
def lm():
    return CausalLM(tiny_model(), tiny_tokenizer())


def test_moments_are_those_of_the_whole_vocabulary(lm):
    import torch

    prompt, told = lm.encode(["Liked: Alien (1979); Heat", " Toy Story"])
    (found,) = lm.token_moments([prompt], [told])
    with torch.no_grad():
        logits = lm.model(torch.tensor([[*prompt, *told]])).logits[0].double()
    for place, token in enumerate(told):
        row = logits[len(prompt) + place - 1]
        total = sum(math.exp(x) for x in row.tolist())
        logs = [x - math.log(total) for x in row.tolist()]
        mean = sum(math.exp(x) * x for x in logs)
        spread = math.sqrt(sum(math.exp(x) * (x - mean) ** 2 for x in logs))
        got = (found.logprobs[place], found.means[place], found.stds[place])
        assert got == pytest.approx((logs[token], mean, spread), rel=1e-5)


def test_the_log_probabilities_are_those_of_logprobs(lm):
    target = HFTarget(lm, tasks=("rank",), rank_mode="likelihood")
    assert isinstance(target, GivesTokenMoments)
    asked = [request(history=2, candidates=None), request("v", history=3, candidates=None)]
    told = [" Toy Story", " Up (2009)"]
    for moments, plain in zip(target.token_moments(asked, told), target.logprobs(asked, told), strict=True):
        assert moments.logprobs == pytest.approx(np.array(plain), abs=1e-4)
    (empty,) = target.token_moments(asked[:1], [""])
    assert len(empty.logprobs) == len(empty.stds) == 0


def test_an_encoder_with_a_decoder():
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(vocab_size=480, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0)
    lm = Seq2SeqLM(T5ForConditionalGeneration(config), tiny_tokenizer())
    prompt, told = lm.encode(["Liked: Heat", "Toy Story"])
    (moments,) = lm.token_moments([prompt], [told])
    ((plain,),) = lm.score_continuations([prompt], [[told]])
    assert moments.logprobs == pytest.approx(np.array(plain.tokens), abs=1e-4)


def test_a_model_that_was_handed_over_has_no_base_to_go_back_to(lm):
    target = HFTarget(lm, tasks=("rank",), rank_mode="likelihood")
    assert isinstance(target, Adapted)
    assert target.with_adapter(None) is None


def test_the_base_of_an_adapter_is_the_model_it_was_trained_on(tmp_path: Path):
    import torch
    from peft import LoraConfig, get_peft_model

    model, tokenizer = tiny_model(), tiny_tokenizer()
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.3)
    adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    options = {"tasks": ("rank",), "rank_mode": "likelihood", "dtype": "float32"}
    target = HFTarget(tmp_path / "base", adapter=tmp_path / "adapter", **options)
    bare = target.with_adapter(None)
    asked, told = [request(history=2, candidates=None)], [" Toy Story"]
    expected = HFTarget(tmp_path / "base", **options).logprobs(asked, told)
    assert bare.logprobs(asked, told) == expected
    assert target.logprobs(asked, told)[0] != pytest.approx(expected[0], abs=1e-3)
    assert target.with_adapter(tmp_path / "adapter").logprobs(asked, told) == target.logprobs(asked, told)
