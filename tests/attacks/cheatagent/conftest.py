"""A tiny language model of random weights as CheatAgent's agent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The tiny models and the scripted server of the targets' own tests.
_TARGETS = Path(__file__).parents[2] / "targets"
sys.path += [str(_TARGETS), str(_TARGETS / "engine")]


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tiny matrices gain nothing from more threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def llama():
    """A causal reader, two layers, float32."""
    from tiny_lms import tiny_model, tiny_tokenizer

    from attacks.cheatagent.loading import read
    from audit.targets.lm import CausalLM

    return read(CausalLM(tiny_model(), tiny_tokenizer()), "Be brief.")


@pytest.fixture(scope="session")
def t5():
    """An encoder-decoder reader, two layers, float32."""
    import torch
    from tiny_lms import tiny_tokenizer
    from transformers import T5Config, T5ForConditionalGeneration

    from attacks.cheatagent.loading import read
    from audit.targets.seq2seq import Seq2SeqLM

    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = T5Config(
            vocab_size=480,
            d_model=32,
            d_kv=8,
            d_ff=48,
            num_layers=2,
            num_heads=4,
            pad_token_id=0,
            eos_token_id=2,
            decoder_start_token_id=0,
            initializer_factor=2.0,
        )
        return read(Seq2SeqLM(T5ForConditionalGeneration(config), tiny_tokenizer()))


@pytest.fixture(params=["llama", "t5"])
def reader(request):
    """Both kinds of models."""
    return request.getfixturevalue(request.param)
