"""The language models that rivals of CheatAgent write with: sampled text, and words that fit between two others.

The agent is a causal model on this machine, SmolLM2 unless a folder is named. All randomness is the caller's: tokens
are drawn by a NumPy generator from the model's own probabilities.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.errors import ConfigError
from audit.targets.weights import lacking

if TYPE_CHECKING:
    from audit.targets.lm import CausalLM

_WORD = re.compile(r"[^\W\d_]{2,}")
_MARKS = ("Ġ", "▁")
"""How byte-level and SentencePiece vocabularies mark a token that begins a word."""
_ROWS = 64
"""Texts at once: each has a row of logits as wide as the vocabulary."""
_TOP = 40
"""Tokens that are drawn from, the likeliest ones: a small model's tail is noise."""
_WINDOW = 6
"""Tokens of the right context that a filled word must agree with."""
_SECOND = 4
"""Words that are read with the right context, for each that is wanted."""
_CONTEXT = 60
"""Words on either side of the gap that the model sees."""


def check_folder(option: str, folder: str | None) -> None:
    """Refuse a model that is not there.

    Raises:
        ConfigError: naming the option.
    """
    if folder is None:
        return
    if not Path(folder).is_dir():
        raise ConfigError(f"{option}: {folder!r} is not a folder; name one that holds a Hugging Face model")
    if flaw := lacking(folder):
        raise ConfigError(f"{option}: {folder!r}: {flaw}")


def causal(folder: str | None) -> CausalLM:
    """A causal language model from a folder; SmolLM2 by default. It is loaded once for all who read it.

    Raises:
        ConfigError: the folder holds an encoder-decoder model.
        TargetError: it holds no model that can be loaded.
        AssetError: SmolLM2 cannot be fetched.
    """
    from audit.targets.lm import CausalLM
    from audit.targets.shared import shared_model

    model = shared_model(folder)
    if not isinstance(model, CausalLM):
        raise ConfigError(f"agent: {folder!r} is an encoder-decoder model; name a causal one")
    return model


@lru_cache(maxsize=4)
def writer(folder: str | None) -> Writer:
    """One writer per model, so that the work of many users meets in it."""
    return Writer(causal(folder))


@lru_cache(maxsize=4)
def filler(agent: str | None, masked_lm: str | None) -> Filler:
    """One filler per model; a masked model where one is named."""
    return MaskedFiller(masked_lm) if masked_lm is not None else CausalFiller(causal(agent))


@dataclass(frozen=True)
class Write:
    """Texts wanted from a model.

    Attributes:
        prompt: the instruction.
        lead: how the answer begins.
        count: answers to draw.
        tokens: longest answer.
        until: characters that end an answer.
        rng: what draws.
    """

    prompt: str
    lead: str
    count: int
    tokens: int
    until: str
    rng: np.random.Generator


class Writer:
    """Sampled answers, for many users at once. Temperature 1, among the 40 likeliest tokens."""

    def __init__(self, lm: CausalLM) -> None:
        self.lm = lm

    def together(self, jobs: Sequence[Sequence[Write]]) -> list[list[list[str]]]:
        """Per job and wish, its answers, without the lead and cut before what ends them."""
        wishes = [wish for job in jobs for wish in job]
        texts: list[list[str]] = []
        start = 0
        while start < len(wishes):
            stop = start + 1
            while stop < len(wishes) and sum(w.count for w in wishes[start : stop + 1]) <= _ROWS:
                stop += 1
            texts += self._sample(wishes[start:stop])
            start = stop
        found = iter(texts)
        return [[next(found) for _ in job] for job in jobs]

    def _sample(self, wishes: Sequence[Write]) -> list[list[str]]:
        prompts = self.lm.encode([self._framed(wish) for wish in wishes])
        told: list[list[list[int]]] = [[[] for _ in range(wish.count)] for wish in wishes]
        live = {(i, n) for i, wish in enumerate(wishes) for n in range(wish.count)}
        ends = self._ends
        limit = self.lm.limit or 1 << 30
        while live:
            rows = [[n for n in range(wish.count) if (i, n) in live] for i, wish in enumerate(wishes)]
            asked = [i for i in range(len(wishes)) if rows[i]]
            groups = [[[*prompts[i], *told[i][n]] for n in rows[i]] for i in asked]
            for i, logits in zip(asked, self.lm.next_logits(groups), strict=True):
                likely = logits.topk(min(_TOP, logits.shape[-1]), dim=-1)
                chances = likely.values.double().softmax(-1).numpy()
                for row, n in enumerate(rows[i]):
                    drawn = int(wishes[i].rng.choice(len(chances[row]), p=chances[row] / chances[row].sum()))
                    token = int(likely.indices[row, drawn])
                    text = told[i][n]
                    if token not in ends:
                        text.append(token)
                    said = any(c in wishes[i].until for c in self.lm.decode([token]) or "\n")
                    full = len(text) >= wishes[i].tokens or len(prompts[i]) + len(text) >= limit
                    if token in ends or said or full:
                        live.discard((i, n))
        return [
            [_until(self.lm.decode(text), wish.until) for text in texts]
            for wish, texts in zip(wishes, told, strict=True)
        ]

    @property
    def _ends(self) -> Collection[int]:
        tokenizer = self.lm.tokenizer
        return {tokenizer.eos_token_id, tokenizer.pad_token_id, *tokenizer.all_special_ids}

    def _framed(self, wish: Write) -> str:
        if not self.lm.tokenizer.chat_template:
            return f"{wish.prompt}\n{wish.lead}"
        before, between, behind = self.lm.frame(("system", "user"))
        return f"{before}Be brief.{between}{wish.prompt}{behind}{wish.lead}"


def _until(text: str, ends: str) -> str:
    cut = min((at for at in map(text.find, ends) if at >= 0), default=len(text))
    return text[:cut]


def plain(text: str, words: int) -> str:
    """The first words of a text as a person would type it: no control or invisible characters, one space between."""
    typed = "".join(c if c.isprintable() and c != "\ufffd" else " " for c in text)
    return " ".join(typed.split()[:words]).strip(" \"'`*#")


@dataclass(frozen=True)
class Gap:
    """A place in a text where a word is wanted.

    Attributes:
        left: what stands before it, without the space.
        right: what stands behind it, with its space.
        count: words wanted.
    """

    left: str
    right: str
    count: int

    @property
    def near(self) -> tuple[str, str]:
        """The nearest words on either side."""
        left = list(re.finditer(r"\S+", self.left))
        right = list(re.finditer(r"\S+", self.right))
        start = left[-_CONTEXT].start() if len(left) > _CONTEXT else 0
        end = right[_CONTEXT - 1].end() if len(right) > _CONTEXT else len(self.right)
        return self.left[start:].rstrip(), self.right[:end]


class Filler(ABC):
    """Words for gaps. Users who share a text share its gaps, so answers are remembered."""

    def __init__(self) -> None:
        self._known: dict[Gap, list[str]] = {}

    def together(self, jobs: Sequence[Sequence[Gap]]) -> list[list[list[str]]]:
        """Per job and gap, up to `count` distinct words, the best first."""
        for gap in (gap for job in jobs for gap in job):
            if gap not in self._known:
                self._known[gap] = self.fill(gap)
        return [[self._known[gap] for gap in job] for job in jobs]

    @abstractmethod
    def fill(self, gap: Gap) -> list[str]:
        """Up to `gap.count` distinct words for one gap, the best first."""


class CausalFiller(Filler):
    """A causal model as a masked one.

    The words w that are single tokens and likeliest behind the left context are put in order by

        log p(w | left) + Σ_{t ≤ 6} log p(right_t | left, w, right_{<t}),

    which is, up to a constant, the logarithm of p(w | left, first six tokens of the right context). Four times as many
    words as wanted enter this second round.
    """

    def __init__(self, lm: CausalLM) -> None:
        super().__init__()
        self.lm = lm

    def fill(self, gap: Gap) -> list[str]:
        """See `Filler`."""
        left, right = gap.near
        tokenizer = self.lm.tokenizer
        begin = [t for t in (tokenizer.bos_token_id, tokenizer.eos_token_id, self.lm.pad) if t is not None][:1]
        prompt = self.lm.encode([left])[0] or begin
        (logits,) = self.lm.next_logits([[prompt]])
        order = logits[0].argsort(descending=True, stable=True).tolist()
        tokens = dict(_words(tokenizer, order, bool(left), _SECOND * gap.count))
        behind = self.lm.encode([right])[0][:_WINDOW] if right else []
        (scores,) = self.lm.score_continuations([prompt], [[[token, *behind] for token in tokens.values()]])
        ranked = sorted(zip(tokens, scores, strict=True), key=lambda pair: -pair[1].sum)
        return [word for word, _ in ranked[: gap.count]]


class MaskedFiller(Filler):
    """A masked model: the likeliest single tokens at the mask, as in BAE.

    Args:
        folder: of any Hugging Face masked language model with safetensors.

    Raises:
        ConfigError: the folder holds none.
    """

    def __init__(self, folder: str) -> None:
        import transformers

        super().__init__()
        library: Any = transformers
        try:
            model = library.AutoModelForMaskedLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            self._tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(f"masked_lm: {folder!r} holds no masked language model ({reason})") from error
        self._model = model.eval()
        if self._tokenizer.mask_token is None:
            raise ConfigError(f"masked_lm: the tokenizer in {folder!r} has no mask token")

    def fill(self, gap: Gap) -> list[str]:
        """See `Filler`."""
        import torch

        left, right = gap.near
        parts = [self._tokenizer(part, add_special_tokens=False)["input_ids"] for part in (left, right)]
        longest = min(int(self._tokenizer.model_max_length), int(self._model.config.max_position_embeddings) - 4)
        half = max(longest // 2 - 4, 1)
        before = parts[0][-half:]
        ids = self._tokenizer.build_inputs_with_special_tokens(
            [*before, self._tokenizer.mask_token_id, *parts[1][:half]]
        )
        # Counted, not searched: the text itself may spell a mask.
        at = len(self._tokenizer.build_inputs_with_special_tokens([])) // 2 + len(before)
        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([ids])).logits[0, at].float()
        order = logits.argsort(descending=True, stable=True).tolist()
        return [word for word, _ in _words(self._tokenizer, order, bool(left), gap.count)]


def _words(tokenizer: Any, order: Sequence[int], inside: bool, count: int) -> Iterator[tuple[str, int]]:  # noqa: ANN401
    """The first `count` distinct words among tokens in this order, each with its token.

    Args:
        tokenizer: whose tokens they are.
        order: tokens.
        inside: whether something stands before them: then a token must be marked as the beginning of a word, in a
            vocabulary that marks it.
        count: how many.
    """
    marked = any(token.startswith(_MARKS) for token in tokenizer.get_vocab())
    special = set(tokenizer.all_special_ids)
    seen: set[str] = set()
    for token in order:
        if len(seen) >= count:
            return
        piece = str(tokenizer.convert_ids_to_tokens(int(token)) or "")
        begins = piece.startswith(_MARKS) or not inside if marked else not piece.startswith("##")
        word = tokenizer.decode([int(token)]).strip()
        if begins and token not in special and _WORD.fullmatch(word) and word.casefold() not in seen:
            seen.add(word.casefold())
            yield word, int(token)
