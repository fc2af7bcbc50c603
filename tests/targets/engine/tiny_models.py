"""Tiny random models of several architectures."""

from __future__ import annotations

from functools import cache

SMALL = {
    "vocab_size": 480,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
}


@cache
def model(name: str, dtype: str = "float32"):
    """A tiny model by name; the same object for the whole test run."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _BUILD[name]().to(getattr(torch, dtype)).eval()


def _llama():
    from tiny_lms import tiny_model

    return tiny_model()


def _gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(vocab_size=480, n_embd=32, n_layer=2, n_head=4, n_positions=512, initializer_range=0.3)
    )


def _mistral():
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(MistralConfig(**SMALL, sliding_window=16))


def _mamba():
    from transformers import MambaConfig, MambaForCausalLM

    return MambaForCausalLM(MambaConfig(vocab_size=480, hidden_size=32, num_hidden_layers=2))


def _bloom():
    from transformers import BloomConfig, BloomForCausalLM

    return BloomForCausalLM(BloomConfig(vocab_size=480, hidden_size=32, n_layer=2, n_head=4))


def _t5():
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=480,
            d_model=32,
            d_kv=8,
            d_ff=48,
            num_layers=2,
            num_heads=4,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=12,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
        )
    )


def _bart():
    from transformers import BartConfig, BartForConditionalGeneration

    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=480,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
            max_position_embeddings=128,
            init_std=0.3,
        )
    )


_BUILD = {
    "llama": _llama,
    "gpt2": _gpt2,
    "mistral": _mistral,
    "mamba": _mamba,
    "bloom": _bloom,
    "t5": _t5,
    "bart": _bart,
}
