"""Encoder: from texts to vectors whose inner product is their likeness in meaning.

Likeness proposes what to read. It verifies nothing: to an encoder, 1999 and 2003 are nearly the same word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audit.data import assets
from audit.errors import ConfigError, DataError

FloatMatrix = NDArray[np.float32]

MAX_TOKENS = 256
"""Tokens that all-MiniLM-L6-v2 was trained to read; what is beyond them is cut."""

_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
_SETTINGS = ("sentence_bert_config.json", "modules.json", "1_Pooling/config.json")


class Encoder(Protocol):
    """Anything that turns texts into vectors of length 1.

    Attributes:
        fingerprint: changes whenever the vectors would: an index made by another one is made anew.
        size: numbers in a vector.
    """

    @property
    def fingerprint(self) -> str:
        """See the class."""
        ...

    @property
    def size(self) -> int:
        """See the class."""
        ...

    def pieces(self, texts: Sequence[str]) -> list[int]:
        """Word-pieces of each text, without special tokens."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatMatrix:
        """Vectors of length 1, shape (len(texts), size)."""
        ...


class SentenceEncoder:
    """A sentence encoder from a folder, by plain transformers: mean of the last layer over the real tokens, L2 norm 1.

    Args:
        folder: with `config.json`, safetensors and the tokenizer; None means all-MiniLM-L6-v2 from the asset store.
        batch: texts at a time.
        max_tokens: longer texts are cut there; None: what the folder says (`sentence_bert_config.json`), at most what
            the model's positions allow, else 256.

    Raises:
        ConfigError: the folder holds no such model, pools in another way than mean or first token, or has layers after
            pooling that plain transformers do not know.
        AssetError: MiniLM cannot be fetched.
    """

    def __init__(self, folder: Path | str | None = None, *, batch: int = 32, max_tokens: int | None = None) -> None:
        if batch < 1:
            raise ValueError(f"batch: value must be at least 1, not {batch}")
        if max_tokens is not None and max_tokens < 8:
            raise ValueError(f"max_tokens: value must be at least 8, not {max_tokens}")
        self.folder = assets.path("minilm") if folder is None else Path(folder)
        self.batch = batch
        for needed in ("config.json", "model.safetensors"):
            if not (self.folder / needed).is_file():
                raise ConfigError(
                    f"encoder: {self.folder} has no {needed}; name a folder that holds an encoder as safetensors"
                )
        self._config = self._json("config.json")
        self._first_token = self._pooling() == "cls"
        positions = self._whole_number("config.json", "max_position_embeddings")
        wanted = max_tokens or self._whole_number("sentence_bert_config.json", "max_seq_length")
        self.max_tokens = min(wanted, positions)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the model's files and how they are used."""
        digest = hashlib.sha256(f"{self.max_tokens} {self._first_token}".encode())
        for name in (*_FILES, *_SETTINGS):
            if (self.folder / name).is_file():
                digest.update(f"{name} {assets.sha256_of(self.folder / name)}".encode())
        return digest.hexdigest()

    @cached_property
    def size(self) -> int:
        """Numbers in a vector."""
        return int(self._model.config.hidden_size)

    def pieces(self, texts: Sequence[str]) -> list[int]:
        """Word-pieces of each text, without special tokens."""
        if not texts:
            return []
        # `verbose=False`: counting is what tells that a text is too long, so that needs no warning.
        read = self._tokenizer(
            [_whole(text) for text in texts], add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        return [len(ids) for ids in read["input_ids"]]

    def encode(self, texts: Sequence[str]) -> FloatMatrix:
        """Vectors of length 1, shape (len(texts), size)."""
        import torch

        vectors = np.zeros((len(texts), self.size), dtype=np.float32)
        # Texts of like length together: padding is work for nothing.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        with torch.inference_mode():
            for start in range(0, len(order), self.batch):
                rows = order[start : start + self.batch]
                inputs = self._tokenizer(
                    [_whole(texts[row]) for row in rows],
                    padding=True,
                    truncation=True,
                    max_length=self.max_tokens,
                    return_tensors="pt",
                )
                states = self._model(**inputs).last_hidden_state
                mask = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
                pooled = states[:, 0] if self._first_token else (states * mask).sum(1) / mask.sum(1).clamp(min=1)
                vectors[rows] = torch.nn.functional.normalize(pooled, dim=1).float().numpy()
        return vectors

    @cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401 - transformers is untyped
        from transformers import AutoTokenizer

        try:
            load: Any = AutoTokenizer.from_pretrained
            # Right padding, so that the first token is the first one of each text.
            return load(str(self.folder), local_files_only=True, padding_side="right")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"encoder: the tokenizer in {self.folder} cannot be loaded ({_one(error)})") from None

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - transformers is untyped
        from safetensors import SafetensorError
        from transformers import AutoModel

        try:
            model = AutoModel.from_pretrained(
                str(self.folder), local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ConfigError(f"encoder: the model in {self.folder} cannot be loaded ({_one(error)})") from None
        return model.eval()

    def _pooling(self) -> str:
        for module in self._json("modules.json", list):
            kind = str(module.get("type", "")).rpartition(".")[2]
            if kind not in ("Transformer", "Pooling", "Normalize"):
                raise ConfigError(
                    f"encoder: {self.folder} has a layer {kind!r} after its pooling, which is not supported; "
                    "choose an encoder that ends with pooling"
                )
        modes = [name for name, on in self._json("1_Pooling/config.json").items() if on is True and "_mode_" in name]
        if modes in ([], ["pooling_mode_mean_tokens"]):
            return "mean"
        if modes == ["pooling_mode_cls_token"]:
            return "cls"
        raise ConfigError(
            f"encoder: {self.folder} pools by {', '.join(modes)}; only mean and first-token pooling are supported"
        )

    def _whole_number(self, name: str, setting: str) -> int:
        value = self._json(name).get(setting) or MAX_TOKENS
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(
                f"encoder: {self.folder / name}: {setting} is {value!r}; it must be a whole number above 0"
            )
        return value

    def _json(self, name: str, kind: type = dict) -> Any:  # noqa: ANN401 - whatever the file holds
        """A settings file of the folder; empty where there is none."""
        if not (self.folder / name).is_file():
            return kind()
        try:
            data = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"encoder: {self.folder / name} is not JSON ({error})") from None
        if not isinstance(data, kind):
            raise ConfigError(f"encoder: {self.folder / name} must hold a JSON {kind.__name__}")
        return data


def encoded(encoder: Encoder, texts: Sequence[str]) -> FloatMatrix:
    """The encoder's vectors, checked: a wrong shape or a NaN would be a wrong answer later.

    Raises:
        DataError: the encoder broke its word.
    """
    if encoder.size < 1:
        raise DataError(f"encoder: it says that its size is {encoder.size}; it must be at least 1")
    if not texts:
        return np.zeros((0, encoder.size), dtype=np.float32)
    try:
        vectors = np.ascontiguousarray(encoder.encode(texts), dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"encoder: its `encode` gave no numbers ({_one(error)}); it must give one row per text"
        ) from None
    if vectors.shape != (len(texts), encoder.size):
        raise DataError(
            f"encoder: it gave an array of shape {vectors.shape} for {len(texts)} texts and says that its size is "
            f"{encoder.size}; its `encode` must give one row of that size per text"
        )
    if not np.isfinite(vectors).all():
        raise DataError("encoder: it gave numbers that are not finite; check its weights")
    return vectors


def counted(encoder: Encoder, texts: Sequence[str]) -> list[int]:
    """The encoder's word-pieces, checked.

    Raises:
        DataError: it counted other texts than it was given.
    """
    pieces = encoder.pieces(texts)
    if len(pieces) != len(texts):
        raise DataError(
            f"encoder: its `pieces` gave {len(pieces)} numbers for {len(texts)} texts; it must give one each"
        )
    return pieces


def _whole(text: str) -> str:
    """Without half an emoji, which truncated model output does hold and tokenizers refuse."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _one(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
