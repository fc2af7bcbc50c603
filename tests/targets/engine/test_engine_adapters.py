"""LoRA layers in the engine: the bits that PEFT's own forward gives, and PEFT's own forward afterwards."""

from __future__ import annotations

import pytest
from tiny_lms import tiny_model

from audit.targets.engine.adapters import lean, lora_layers
from audit.targets.engine.causal import PrefixEngine


def adapted(*, alpha: float, dtype: str = "float32", dropout: float = 0.0, dora: bool = False):
    import torch
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng():
        torch.manual_seed(3)
        chosen = {"lora_alpha": alpha, "lora_dropout": dropout, "use_dora": dora}
        config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", **chosen)
        model = get_peft_model(tiny_model(3), config, autocast_adapter_dtype=False)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.2)
    return model.to(getattr(torch, dtype)).eval()


def logits(model, ids):
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits


IDS = [(7 * i + 3) % 300 for i in range(40)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("alpha", [8.0, 6.0])  # scaled by 2, which is exact, and by 1.5
def test_the_bits_are_those_of_peft(dtype, alpha):
    import torch

    model = adapted(alpha=alpha, dtype=dtype)
    expected = logits(model, IDS)
    layers = lora_layers(model)
    assert len(layers) == 14  # seven linear layers in each of two blocks
    with lean(layers):
        assert all("forward" in vars(layer) for layer in layers)
        found = logits(model, IDS)
    assert torch.equal(found, expected)
    assert not any("forward" in vars(layer) for layer in layers)
    with model.disable_adapter():
        bare = logits(model, IDS)
    assert not torch.equal(bare, expected)  # and the adapter does something


def test_layers_that_are_not_plain_are_left_to_peft():
    model = adapted(alpha=8.0)
    layers = lora_layers(model)
    with model.disable_adapter(), lean(layers):
        assert not any("forward" in vars(layer) for layer in layers)
    model.merge_adapter()
    with lean(layers):
        assert not any("forward" in vars(layer) for layer in layers)
    model.unmerge_adapter()
    trained = adapted(alpha=8.0, dropout=0.5).train()
    with lean(lora_layers(trained)):
        assert not any("forward" in vars(layer) for layer in lora_layers(trained))
    dora = lora_layers(adapted(alpha=8.0, dora=True))
    assert dora
    with lean(dora):
        assert not any("forward" in vars(layer) for layer in dora)
    assert lora_layers(tiny_model()) == []


def test_the_engine_reads_an_adapter_as_peft_does():
    import torch

    model = adapted(alpha=8.0)
    base = model.get_base_model()
    engine = PrefixEngine(base)
    assert engine.works
    [found] = engine.next_logits([[IDS, IDS[:25]]])
    for row, prompt in zip(found, (IDS, IDS[:25]), strict=True):
        assert torch.allclose(row, logits(model, prompt)[0, -1], atol=1e-4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.zero_()
    [bare] = engine.next_logits([[IDS]])
    with model.disable_adapter():
        assert torch.allclose(bare[0], logits(model, IDS)[0, -1], atol=1e-4)
