"""What some recipes need from the user: a masked language model, word vectors."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from audit.errors import ConfigError

_MODEL_TYPES = ("bert", "electra", "roberta", "bart", "longformer", "xlnet")
"""Masked models whose word pieces TextAttack can tell from words."""


@lru_cache(maxsize=2)
def masked_lm(folder: str) -> tuple[Any, Any, int]:
    """A masked language model from a local folder, never from the network.

    Returns:
        The model, its tokenizer, and the longest text it takes, in tokens.

    Raises:
        ConfigError: the folder holds no such model, or one that the recipes cannot use.
    """
    import transformers

    library: Any = transformers

    if not Path(folder).is_dir():
        raise ConfigError(f"masked_lm: {folder!r} is not a folder; name one that holds a Hugging Face masked LM")
    try:
        model = library.AutoModelForMaskedLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"masked_lm: {folder!r} holds no masked language model with safetensors and a tokenizer ({reason})"
        ) from error
    kind = str(model.config.model_type)
    if kind not in _MODEL_TYPES:
        raise ConfigError(f"masked_lm: {folder!r} is of type {kind!r}; TextAttack can use {', '.join(_MODEL_TYPES)}")
    if tokenizer.mask_token is None:
        raise ConfigError(f"masked_lm: the tokenizer in {folder!r} has no mask token")
    longest = min(int(getattr(model.config, "max_position_embeddings", 512)) - 2, int(tokenizer.model_max_length))
    return model.eval(), tokenizer, longest


def padded_length(tokenizer: Any, text: str, longest: int) -> int:  # noqa: ANN401 - untyped library
    """To what length texts like this one are padded: TextAttack pads all to one length, and each token costs time."""
    needed = len(tokenizer(text)["input_ids"])
    return min(longest, -(-(needed + needed // 2 + 8) // 8) * 8)


@lru_cache(maxsize=2)
def embedding(file: str) -> Any:  # noqa: ANN401 - untyped library
    """Word vectors from a text file, a word and its numbers per line, as GloVe is distributed.

    Raises:
        ConfigError: the file cannot be read, or its lines are not of one form.
    """
    from attacks.textattack.vectors import Vectors

    words: dict[str, int] = {}
    rows: list[np.ndarray] = []
    try:
        for number, line in enumerate(Path(file).read_text(encoding="utf-8").splitlines(), 1):
            word, *values = line.rstrip().split(" ")
            if number == 1 and len(values) == 1:
                continue  # the header of word2vec's text form: count and size
            row = np.array(values, dtype=np.float32)
            if not len(row) or (rows and len(row) != len(rows[0])):
                raise ConfigError(f"embedding: {file!r}, line {number}: {len(row)} numbers; each line needs as many")
            if words.setdefault(word, len(rows)) == len(rows):
                rows.append(row)
    except (OSError, ValueError) as error:
        raise ConfigError(f"embedding: {file!r} is no text file of word vectors ({error})") from error
    if len(rows) < 6:
        raise ConfigError(f"embedding: {file!r} holds {len(rows)} words; the five nearest of each are needed")
    return Vectors(np.stack(rows), words, {at: word for word, at in words.items()})
