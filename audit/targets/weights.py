"""Reading a language model from disk or hub, and knowing it again.

Safetensors folders, hub names and GGUF files, with an optional PEFT adapter. Pickled weights and remote code are
refused: both run whatever their author wrote.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import TargetError

if TYPE_CHECKING:
    import torch

Model = Any
"""A transformers model or tokenizer: their classes are chosen at run time and have no useful static type."""

_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Loaded:
    """A model with its tokenizer.

    Attributes:
        model: the transformers model, or its PEFT wrapper.
        tokenizer: a fast tokenizer.
        identity: content address, see `files_digest`; of model and adapter.
    """

    model: Model
    tokenizer: Model
    identity: str


def fast_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it natively (AVX512-BF16 or AMX, or a GPU), else float32."""
    import torch

    if torch.cuda.is_available():
        return torch.bfloat16
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = any(getattr(torch.cpu, name, lambda: False)() for name in probes)
    return torch.bfloat16 if native else torch.float32


def load(
    source: str | Path,
    *,
    gguf_file: str | None = None,
    adapter: str | Path | None = None,
    revision: str | None = None,
    dtype: str | None = None,
) -> Loaded:
    """Read a model.

    Args:
        source: a folder, or a name on the hub.
        gguf_file: name of a GGUF file in it.
        adapter: folder of a PEFT adapter to put on top.
        revision: branch, tag or commit of the hub's repository.
        dtype: `float32`, `bfloat16` or `float16`; None takes `fast_dtype`.

    Raises:
        TargetError: the model or adapter cannot be loaded.
    """
    import torch
    import transformers
    from safetensors import SafetensorError

    if dtype is not None and dtype not in _DTYPES:
        raise TargetError(f"hf: dtype {dtype!r} must be one of {', '.join(_DTYPES)}")
    options: dict[str, Any] = {"revision": revision} if revision else {}
    if gguf_file:
        options["gguf_file"] = gguf_file
    source = str(source)
    if flaw := lacking(source, gguf_file):
        raise TargetError(f"hf: model {source!r} cannot be loaded: {flaw}")
    library: Model = transformers
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(source, **options)
        kind = library.AutoModelForCausalLM
        if not gguf_file and library.AutoConfig.from_pretrained(source, **options).is_encoder_decoder:
            kind = library.AutoModelForSeq2SeqLM
        model = kind.from_pretrained(
            source,
            dtype=getattr(torch, dtype) if dtype else fast_dtype(),
            trust_remote_code=False,
            **({} if gguf_file else {"use_safetensors": True}),
            **options,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, SafetensorError) as error:
        raise TargetError(
            f"hf: model {source!r} cannot be loaded ({first_line(error)}); give a folder or hub name with "
            "config.json, a tokenizer and safetensors weights, or set gguf_file"
        ) from None
    if not getattr(tokenizer, "is_fast", False):
        raise TargetError(f"hf: model {source!r} has no fast tokenizer; save it with tokenizer.json")
    identity = files_digest(source, gguf_file, getattr(model.config, "_commit_hash", None) or revision)
    if adapter is not None:
        model = load_adapter(model, Path(adapter))
        identity += "+" + files_digest(str(adapter), None, None)
    return Loaded(model, tokenizer, identity)


def lacking(source: str | Path, gguf_file: str | None = None) -> str:
    """What a folder lacks to be read as a model, with what to do; empty where nothing is missing.

    A source that is no folder may be a name on the hub, and lacks nothing.
    """
    folder = Path(source)
    if not folder.is_dir():
        return ""
    if gguf_file:
        return "" if (folder / gguf_file).is_file() else f"the folder holds no {gguf_file}; name a GGUF file in it"
    mend = "give a folder with config.json, a tokenizer and safetensors weights, or set gguf_file"
    if not (folder / "config.json").is_file():
        return f"the folder holds no config.json; {mend}"
    return "" if any(folder.glob("*.safetensors")) else f"the folder holds no safetensors weights; {mend}"


def load_adapter(model: Model, folder: Path) -> Model:
    """The model with a PEFT adapter on top.

    Raises:
        TargetError: the folder holds no adapter, or one of another base.
    """
    from peft import PeftModel

    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise TargetError(f"hf: adapter {str(folder)!r} has no {name}; give the folder of a saved PEFT adapter")
    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=False, autocast_adapter_dtype=False)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        raise TargetError(
            f"hf: adapter {str(folder)!r} does not fit this model ({first_line(error)}); "
            "use the base model it was trained on"
        ) from None


def files_digest(source: str, gguf_file: str | None, revision: str | None) -> str:
    """Content address of a model without reading all its weights.

    A folder is known by its configuration and tokenizer files, byte for byte, and by name, size and first 64 KiB of
    each weights file (the safetensors header: names, types, shapes); weights below 32 MiB, such as adapters, count byte
    for byte. A hub name is known by name and commit.
    """
    digest = hashlib.sha256(json.dumps([gguf_file, revision]).encode())
    folder = Path(source)
    if not folder.is_dir():
        digest.update(source.encode())
        return digest.hexdigest()
    for file in sorted(folder.iterdir()):
        if file.suffix in {".json", ".safetensors", ".gguf", ".jinja", ".model"} and file.is_file():
            size = file.stat().st_size
            with file.open("rb") as stream:
                head = stream.read(-1 if size < 32 << 20 else 64 << 10)
            digest.update(json.dumps([file.name, size]).encode() + head)
    return digest.hexdigest()


def first_line(error: Exception) -> str:
    """What an error says, short enough for a sentence."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__
