"""A causal language model on this machine: encode, score many prompts at once, generate.

Scoring packs prompts that begin alike (`audit.targets.packing`) and sends only the positions asked for through the
language head. Packing and head are checked once per model against one plain pass; a model that does not agree (windowed
attention, scaled logits) is asked plainly, one prompt at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from audit.errors import TargetError
from audit.targets.decoding import greedy, greedy_padded
from audit.targets.packing import Group, Tokens, pack
from audit.targets.weights import Loaded, Model, first_line

if TYPE_CHECKING:
    import torch

TOKEN_BUDGET = 2048
"""Tokens per forward pass: more give no more speed on a processor, but the mask grows with their square."""


class CausalLM:
    """A loaded model with its tokenizer.

    Attributes:
        model: the transformers model, or its PEFT wrapper, in evaluation mode.
        tokenizer: a fast tokenizer.
        dtype: of weights and activations.
        identity: digest of the files it was loaded from; "" when it was not loaded from files.
    """

    def __init__(self, model: Model, tokenizer: Model, *, identity: str = "") -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.dtype: torch.dtype = next(model.parameters()).dtype
        self.identity = identity
        self._frames: dict[tuple[str, ...], tuple[str, ...]] = {}

    @classmethod
    def of(cls, loaded: Loaded) -> CausalLM:
        """A model as `audit.targets.weights.load` returns it."""
        return cls(loaded.model, loaded.tokenizer, identity=loaded.identity)

    @cached_property
    def _base(self) -> Model:
        """The model without the PEFT wrapper; adapter layers stay in place."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @cached_property
    def _body(self) -> Model:
        return getattr(self._base, self._base.base_model_prefix)

    @property
    def _head(self) -> Model:
        return self._base.get_output_embeddings()

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

    def next_logits(
        self, groups: Sequence[Sequence[Tokens]], *, only: Sequence[int] | None = None
    ) -> list[torch.Tensor]:
        """Logits of the token after each prompt, for groups of prompts that begin alike.

        Args:
            groups: prompts in groups; no prompt is empty.
            only: token ids to return; None for the whole vocabulary.

        Returns:
            Per group a float32 tensor (prompts, tokens), the same whatever other groups are asked with it.
        """
        import torch

        with torch.inference_mode():
            if not self._packs:
                plain = [torch.stack([self._plain_logits(p) for p in prompts]) for prompts in groups]
                return plain if only is None else [logits[:, list(only)] for logits in plain]
            return self._packed_logits(groups, only)

    def _packed_logits(self, groups: Sequence[Sequence[Tokens]], only: Sequence[int] | None) -> list[torch.Tensor]:
        """One group per forward pass, without padding: then a score does not depend on the batch, to the last bit.

        Nothing is lost: a few hundred tokens keep a processor as busy as a few thousand.
        """
        import torch

        found = []
        for prompts in groups:
            parts = Group.of(prompts).split(TOKEN_BUDGET)
            found.append(torch.cat([self._logits(self.hidden([part]), only) for part in parts]))
        return found

    def hidden(self, groups: Sequence[Group]) -> torch.Tensor:
        """Last hidden states at the end of each prompt, (prompts, width), in one forward pass; differentiable."""
        packed = pack(groups, pad=self.pad, dtype=self.dtype)
        device = self._base.device
        out = self._body(
            input_ids=packed.input_ids.to(device),
            attention_mask=packed.attention_mask.to(device),
            position_ids=packed.position_ids.to(device),
            use_cache=False,
        )
        states: torch.Tensor = out[0][packed.rows.to(device), packed.ends.to(device)]
        return states

    def _logits(self, hidden: torch.Tensor, only: Sequence[int] | None) -> torch.Tensor:
        if only is None:
            logits: torch.Tensor = self._head(hidden).float()
            return logits
        # Rows of the head in float32: differences of two logits near 20 would lose their digits in bfloat16.
        weight = self._head.weight[list(only)].float()
        bias = getattr(self._head, "bias", None)
        logits = hidden.float() @ weight.T
        return logits if bias is None else logits + bias[list(only)].float()

    def _plain_logits(self, prompt: Tokens) -> torch.Tensor:
        import torch

        ids = torch.tensor([list(prompt)], device=self._base.device)
        with torch.inference_mode():
            logits: torch.Tensor = self._base(input_ids=ids, use_cache=False).logits[0, -1].float()
        return logits

    @cached_property
    def _packs(self) -> bool:
        """Whether packed scoring agrees with a plain pass on a small probe."""
        import torch

        if self._windowed:
            return False
        prompts = self._probe
        try:
            packed = self._packed_logits([prompts], None)[0]
        except (TypeError, ValueError, RuntimeError, AttributeError):
            return False  # this architecture takes no positions or no tree mask
        plain = torch.stack([self._plain_logits(p) for p in prompts])
        scale = plain.abs().max().clamp(min=1.0)
        return bool(((packed - plain).abs().max() / scale) < self._tolerance)

    @property
    def _windowed(self) -> bool:
        """Whether some layers see only the last tokens, as both packing and rows would not."""
        config = self._base.config
        return bool(getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True))

    @cached_property
    def _probe(self) -> list[list[int]]:
        """Two prompts of arbitrary tokens that begin alike."""
        top = min(int(self._base.config.vocab_size), 300)
        prefix = [(7 * i + 3) % top for i in range(9)]
        return [[*prefix, 5 % top, 11 % top], [*prefix, 6 % top]]

    @property
    def _tolerance(self) -> float:
        """Largest difference between two ways to compute the same logits, relative to the largest logit."""
        import torch

        return 1e-3 if self.dtype == torch.float32 else 5e-2

    def continuation_logprobs(self, prompts: Sequence[Tokens], continuations: Sequence[Tokens]) -> list[list[float]]:
        """Log-probability in nats of each token of each continuation, behind its prompt.

        No prompt is empty; an empty continuation gives an empty list.
        """
        import torch

        found: list[list[float]] = []
        with torch.inference_mode():
            for prompt, told in zip(prompts, continuations, strict=True):
                if not told:
                    found.append([])
                    continue
                ids = torch.tensor([[*prompt, *told[:-1]]], device=self._base.device)
                states = self._body(input_ids=ids, use_cache=False)[0][0, len(prompt) - 1 :]
                logprobs = self._head(states).float().log_softmax(-1)
                found.append(logprobs[range(len(told)), list(told)].tolist())
        return found

    @cached_property
    def _ends(self) -> frozenset[int]:
        """Token ids that end an answer, by tokenizer and generation settings."""
        settings = getattr(self._base, "generation_config", None)
        told = getattr(settings, "eos_token_id", None)
        ids = [self.tokenizer.eos_token_id, *(told if isinstance(told, list) else [told])]
        return frozenset(i for i in ids if i is not None)

    def generate(self, prompts: Sequence[Tokens], *, max_new_tokens: int, batch_size: int = 32) -> list[list[int]]:
        """Greedy continuations, without the end token. No prompt is empty.

        Args:
            prompts: what to go on from.
            max_new_tokens: longest continuation.
            batch_size: rows at once.
        """
        import torch

        found: list[list[int]] = []
        with torch.inference_mode():
            for start in range(0, len(prompts), batch_size):
                batch = prompts[start : start + batch_size]
                if self._keeps_rows:
                    found += greedy(self._base, batch, max_new_tokens=max_new_tokens, ends=self._ends)
                else:
                    found += greedy_padded(
                        self._base, batch, max_new_tokens=max_new_tokens, ends=self._ends, pad=self.pad
                    )
        return found

    @cached_property
    def _keeps_rows(self) -> bool:
        """Whether decoding row by row gives the same text as a plain pass on a small probe."""
        if self._windowed:
            return False
        prompt = self._probe[0]
        try:
            found = greedy(self._base, [prompt, prompt[:5]], max_new_tokens=4, ends=frozenset())
        except (TypeError, ValueError, RuntimeError, AttributeError, KeyError):
            return False  # this architecture's attention cannot be exchanged
        ids = list(prompt)
        for token in found[0]:
            logits = self._plain_logits(ids)
            if logits[token] < logits.max() - self._tolerance * max(1.0, float(logits.abs().max())):
                return False
            ids.append(token)
        return True
