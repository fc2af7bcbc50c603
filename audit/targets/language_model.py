"""A model on this machine and its tokenizer: what causal and encoder-decoder models have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Self

from audit.errors import TargetError
from audit.target import TokenMoments
from audit.targets.packing import Tokens
from audit.targets.weights import Loaded, Model, first_line

if TYPE_CHECKING:
    import torch

    from audit.targets.engine.causal import ContinuationScore
    from audit.targets.sampling import Draw


class LanguageModel(ABC):
    """A loaded model with its tokenizer. No prompt that it is asked may be empty.

    Attributes:
        model: the transformers model, or its PEFT wrapper, in evaluation mode.
        tokenizer: a fast tokenizer.
        dtype: of weights and activations.
        identity: digest of the files it was loaded from; "" when it was not loaded from files.
        max_cache_bytes: bound of the cache of what prompts share.
    """

    def __init__(
        self, model: Model, tokenizer: Model, *, identity: str = "", max_cache_bytes: int | None = None
    ) -> None:
        from audit.targets.engine.causal import MAX_CACHE_BYTES

        self.model = model.eval()
        self.tokenizer = tokenizer
        self.dtype: torch.dtype = next(model.parameters()).dtype
        self.identity = identity
        self.max_cache_bytes = MAX_CACHE_BYTES if max_cache_bytes is None else max_cache_bytes
        self._frames: dict[tuple[str, ...], tuple[str, ...]] = {}

    @classmethod
    def of(cls, loaded: Loaded, *, max_cache_bytes: int | None = None) -> Self:
        """A model as `audit.targets.weights.load` returns it."""
        return cls(loaded.model, loaded.tokenizer, identity=loaded.identity, max_cache_bytes=max_cache_bytes)

    @cached_property
    def _base(self) -> Model:
        """The model without the PEFT wrapper; adapter layers stay in place."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def pad(self) -> int:
        """Token id used as padding; its value never matters, it is masked."""
        tokenizer = self.tokenizer
        return next(t for t in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if t is not None)

    @cached_property
    def limit(self) -> int | None:
        """The most tokens a prompt may have, if the model says so."""
        limit = getattr(self._base.config, "max_position_embeddings", None)
        return int(limit) if limit else None

    def lead(self, prompt: str) -> str:
        """What stands between a prompt and the first word of its answer: nothing behind white space, else a space."""
        return " " if prompt and not prompt[-1].isspace() else ""

    def frame(self, roles: Sequence[str]) -> tuple[str, ...]:
        """What the tokenizer's chat template writes before, between and after messages of these roles.

        The template is rendered once with marks in place of the contents, so contents can be anything.

        Raises:
            TargetError: there is no chat template, or it drops, repeats or reorders a message.
        """
        key = tuple(roles)
        if key not in self._frames:
            if not self.tokenizer.chat_template:
                raise TargetError("hf: the tokenizer has no chat template; use a plain template (chat: false)")
            marks = [f"\ue000{i}\ue001" for i in range(len(key))]
            messages = [{"role": r, "content": m} for r, m in zip(key, marks, strict=True)]
            try:
                rest = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            except Exception as error:
                # The template is the model author's Jinja code: it may raise anything.
                raise TargetError(
                    f"hf: the chat template refuses the roles {list(key)} ({first_line(error)})"
                ) from None
            parts: list[str] = []
            for mark in marks:
                before, found, rest = rest.partition(mark)
                if not found:
                    raise TargetError(f"hf: the chat template does not write the messages {list(key)} in order")
                parts.append(before)
            self._frames[key] = (*parts, rest)
        return self._frames[key]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, as it stands: nothing is put before or behind.

        A special token spelled out in a text becomes that token, as in a deployment that templates strings.
        """
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, tokens: Tokens) -> str:
        """The text of generated tokens, without special tokens and white space at its end."""
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.rstrip()

    @cached_property
    def _ends(self) -> frozenset[int]:
        """Token ids that end an answer, by tokenizer and generation settings."""
        settings = getattr(self._base, "generation_config", None)
        told = getattr(settings, "eos_token_id", None)
        ids = [self.tokenizer.eos_token_id, *(told if isinstance(told, list) else [told])]
        return frozenset(i for i in ids if i is not None)

    @abstractmethod
    def next_logits(
        self, groups: Sequence[Sequence[Tokens]], *, only: Sequence[int] | None = None
    ) -> list[torch.Tensor]:
        """Logits of the answer's first token.

        Args:
            groups: the prompts of each request.
            only: token ids to return; None for the whole vocabulary.

        Returns:
            Per group a float32 tensor (prompts, tokens), the same whatever other groups are asked with it.
        """

    @abstractmethod
    def score_continuations(
        self, prompts: Sequence[Tokens], continuations: Sequence[Sequence[Tokens]]
    ) -> list[list[ContinuationScore]]:
        """Log-probabilities of several answers to each prompt; an empty answer scores 0."""

    @abstractmethod
    def told_logits(self, prompt: Tokens, told: Tokens) -> torch.Tensor:
        """Logits at the place of each token of a given answer, float32 (tokens, vocabulary)."""

    def token_moments(self, prompts: Sequence[Tokens], told: Sequence[Tokens]) -> list[TokenMoments]:
        """How likely each token of one answer to each prompt is, against the whole vocabulary at its place."""
        import numpy as np
        import torch

        found = []
        for prompt, answer in zip(prompts, told, strict=True):
            if not answer:
                found.append(TokenMoments(np.zeros(0), np.zeros(0), np.zeros(0)))
                continue
            with torch.inference_mode():
                logprobs = self.told_logits(prompt, answer).double().log_softmax(-1)
            # A token that cannot stand there counts nothing, and 0 · -inf is not a number.
            chances, known = logprobs.exp(), logprobs.clamp(min=-1e4)
            means = (chances * known).sum(-1)
            spread = (chances * (known - means[:, None]) ** 2).sum(-1).sqrt()
            of_tokens = known[range(len(answer)), list(answer)]
            found.append(TokenMoments(of_tokens.cpu().numpy(), means.cpu().numpy(), spread.cpu().numpy()))
        return found

    @abstractmethod
    def generate(
        self,
        prompts: Sequence[Tokens],
        *,
        max_new_tokens: int,
        batch_size: int = 32,
        draws: Sequence[Draw] | None = None,
    ) -> list[list[int]]:
        """Answers, without the end token.

        Args:
            prompts: what to answer.
            max_new_tokens: longest answer.
            batch_size: texts at once.
            draws: how the tokens of each answer are drawn; None for the likeliest.
        """

    @property
    @abstractmethod
    def note(self) -> str:
        """What is slow about asking this model, in one sentence; "" where there is nothing to say."""
