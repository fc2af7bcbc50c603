"""Tiny stand-ins for the two targets that can be hardened."""

from __future__ import annotations

import numpy as np
import torch
from tiny_lms import tiny_model, tiny_tokenizer

from audit.data.dataset import Dataset
from audit.data.splits import leave_one_out
from audit.targets.lm import CausalLM
from audit.targets.zoo.p5_indexing import make
from audit.targets.zoo.p5_model import Hyper, P5Net
from audit.targets.zoo.p5_vocabulary import Vocabulary

SMALL = Hyper(dim=32, heads=1, wide=64, layers=1, far=6, near=4, targets=8, samples=64, batch=32, epochs=2, buckets=16)


def untrained(world: Dataset, seed: int = 0, hyper: Hyper = SMALL) -> P5Net:
    """A network with weights large enough that every part of it matters."""
    indexing = make("iid", list(leave_one_out(world).train.values()), len(world.catalog), np.random.default_rng(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = P5Net(Vocabulary(indexing, hyper.buckets), hyper).eval()
        with torch.no_grad():
            for weight in net.parameters():
                weight += torch.randn_like(weight) * 0.1
    return net


def with_adapter(seed: int) -> CausalLM:
    """The tiny model under a LoRA adapter that does something; equal seeds give equal adapters."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM")
    lm = CausalLM(get_peft_model(tiny_model(), config), tiny_tokenizer())
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in lm.model.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=draw))
    return lm
