"""SmolLM2-135M-Instruct, the small language model that the reference targets are built on.

Source: Allal et al., "SmolLM2: When Smol Goes Big", 2025 (Apache-2.0). The asset is a GGUF file with 4-bit weights. It
is read once, mended, and kept in the asset cache as a bfloat16 safetensors folder that loads in seconds without `gguf`.

Two mends. The tokenizer rebuilt from GGUF has `<|im_start|>` as its end token and no padding token, so generation
would not stop: the end is `<|im_end|>` and the padding `<|endoftext|>`. It also puts `<|im_start|>` before every text,
which a chat template has written already: that is turned off, so text encodes to its own tokens and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.data import assets
from audit.errors import TargetError

END, PAD = "<|im_end|>", "<|endoftext|>"
_RECIPE = "0.1.2-2"
"""Version of the asset, and of what `convert` does to it."""


def folder() -> Path:
    """The folder of the mended model; converted first when it is not in the cache (under a minute).

    Raises:
        AssetError: the asset cannot be fetched or the cache cannot be written.
    """
    return assets.derived("smollm2-135m-instruct", _RECIPE, lambda out: convert(gguf_file(), out))


def gguf_file() -> Path:
    """The GGUF file of the asset."""
    found = sorted(assets.path("smollm2").glob("*.gguf"))
    if not found:
        raise TargetError("smollm2: the asset holds no GGUF file; run `recaudit assets fetch smollm2 --force`")
    return found[0]


def convert(gguf: Path, out: Path) -> None:
    """Write the GGUF model as a mended safetensors folder.

    Args:
        gguf: the quantised weights with their tokenizer.
        out: an existing folder; gets the configuration, tokenizer and bfloat16 weights (270 MB).
    """
    import torch
    import transformers

    # The classes of transformers are chosen at run time and have no useful static type.
    library: Any = transformers
    read = library.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    read.backend_tokenizer.post_processor = None
    tokenizer = library.PreTrainedTokenizerFast(
        tokenizer_object=read.backend_tokenizer,
        bos_token="<|im_start|>",  # noqa: S106 - a token, not a password
        eos_token=END,
        pad_token=PAD,
        unk_token=PAD,
        chat_template=read.chat_template,
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
        model_input_names=["input_ids", "attention_mask"],
    )
    model = library.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    end, pad = tokenizer.convert_tokens_to_ids([END, PAD])
    for config in (model.config, model.generation_config):
        config.eos_token_id, config.pad_token_id = end, pad
    # Where the file lay on this machine is nobody's business.
    model.config._name_or_path = tokenizer.name_or_path = "HuggingFaceTB/SmolLM2-135M-Instruct"
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
