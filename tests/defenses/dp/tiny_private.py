"""Tiny causal and encoder-decoder models with rows of different lengths, for private training."""

from __future__ import annotations

import numpy as np
import torch
from tiny_lms import tiny_model, tiny_tokenizer

from audit.targets.lm import CausalLM
from audit.targets.seq2seq import Seq2SeqLM
from defenses.dp.gradients import Row
from defenses.dp.model import adapted


def causal() -> CausalLM:
    return CausalLM(tiny_model(), tiny_tokenizer(), identity="tiny")


def tiny_t5():
    from transformers import T5Config, T5ForConditionalGeneration

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
        dropout_rate=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return T5ForConditionalGeneration(config)


def seq2seq() -> Seq2SeqLM:
    return Seq2SeqLM(tiny_t5(), tiny_tokenizer(), identity="tiny-t5")


def stirred(model, seed: int = 1):
    """Under an adapter whose B is not zero, so that every tensor has a gradient."""
    wrapped = adapted(
        model, rank=2, alpha=4, modules="all-linear" if not model.config.is_encoder_decoder else ["q", "v"], seed=0
    )
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=draw))
    return wrapped


def rows(lengths, seed: int = 0, prompt: int = 3) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [Row(rng.integers(3, 480, prompt).tolist(), rng.integers(3, 480, n).tolist()) for n in lengths]


def people(count: int, per: int = 1, seed: int = 0) -> dict[str, list[Row]]:
    rng = np.random.default_rng(seed)
    return {f"u{n:03d}": rows(rng.integers(3, 9, per), seed=seed + n) for n in range(count)}
