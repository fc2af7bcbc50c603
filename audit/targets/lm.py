"""A causal language model on this machine: encode, score many prompts at once, generate.

What prompts share is computed once (`audit.targets.engine`). The engine is compared with plain passes once per model; a
model that does not agree, or cannot be run that way, is asked plainly, one prompt at a time, and `note` says why.
Training, which needs gradients, packs prompts instead (`audit.targets.packing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from audit.targets.engine.causal import ContinuationScore, PrefixEngine
from audit.targets.language_model import LanguageModel
from audit.targets.packing import Group, Packed, Tokens, pack
from audit.targets.weights import Model

if TYPE_CHECKING:
    import torch

    from audit.targets.sampling import Draw


class CausalLM(LanguageModel):
    """A causal model; asked as its base class says."""

    @cached_property
    def engine(self) -> PrefixEngine:
        """Runs the model; its prefix cache lives as long as this object."""
        return PrefixEngine(self._base, pad=self.pad, max_cache_bytes=self.max_cache_bytes)

    @property
    def note(self) -> str:
        """See `LanguageModel.note`."""
        return self.engine.note

    @cached_property
    def _body(self) -> Model:
        return getattr(self._base, self._base.base_model_prefix)

    def next_logits(
        self, groups: Sequence[Sequence[Tokens]], *, only: Sequence[int] | None = None
    ) -> list[torch.Tensor]:
        """See `LanguageModel.next_logits`."""
        import torch

        if self._shares([p for prompts in groups for p in prompts]):
            return self.engine.next_logits(groups, only=only)
        with torch.inference_mode():
            plain = [torch.stack([self._plain_logits(p)[-1] for p in prompts]) for prompts in groups]
        return plain if only is None else [logits[:, list(only)] for logits in plain]

    def score_continuations(
        self, prompts: Sequence[Tokens], continuations: Sequence[Sequence[Tokens]]
    ) -> list[list[ContinuationScore]]:
        """See `LanguageModel.score_continuations`; the answers to one prompt are one tree."""
        import torch

        whole = [[*p, *c] for p, group in zip(prompts, continuations, strict=True) for c in group]
        if self._shares(whole):
            return self.engine.score_continuations(prompts, continuations)
        with torch.inference_mode():
            return [
                [ContinuationScore(tuple(self._plain_logprobs(prompt, c))) for c in group]
                for prompt, group in zip(prompts, continuations, strict=True)
            ]

    def generate(
        self,
        prompts: Sequence[Tokens],
        *,
        max_new_tokens: int,
        batch_size: int = 32,
        draws: Sequence[Draw] | None = None,
    ) -> list[list[int]]:
        """See `LanguageModel.generate`."""
        from audit.targets.decoding import write

        if self._shares(prompts, room=max_new_tokens):
            return self.engine.generate(
                prompts, max_new_tokens=max_new_tokens, ends=self._ends, rows=batch_size, draws=draws
            )
        each: Sequence[Draw | None] = draws or [None] * len(prompts)
        return [
            write(self._base, p, max_new_tokens=max_new_tokens, ends=self._ends, draw=draw)
            for p, draw in zip(prompts, each, strict=True)
        ]

    def hidden(self, groups: Sequence[Group]) -> torch.Tensor:
        """Last hidden states at the end of each prompt, (prompts, width), in one forward pass; differentiable."""
        packed = pack(groups, pad=self.pad, dtype=self.dtype)
        return self._states(packed, input_ids=packed.input_ids.to(self._base.device))

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Token ids (…) to their input embeddings (…, width)."""
        embedded: torch.Tensor = self._base.get_input_embeddings()(tokens.to(self._base.device))
        return embedded

    def logits_of(self, packed: Packed, embedded: torch.Tensor) -> torch.Tensor:
        """As `hidden`, from embeddings (rows, length, width) on to logits (prompts, vocabulary); differentiable."""
        logits: torch.Tensor = self._base.get_output_embeddings()(self._states(packed, inputs_embeds=embedded))
        return logits

    def _states(self, packed: Packed, **inputs: torch.Tensor) -> torch.Tensor:
        device = self._base.device
        out = self._body(
            **inputs,
            attention_mask=packed.attention_mask.to(device),
            position_ids=packed.position_ids.to(device),
            use_cache=False,
        )
        states: torch.Tensor = out[0][packed.rows.to(device), packed.ends.to(device)]
        return states

    def _shares(self, prompts: Sequence[Tokens], *, room: int = 0) -> bool:
        """Whether the engine takes these prompts."""
        reach = self.engine.reach
        return self.engine.works and (reach is None or max(map(len, prompts), default=0) + room <= reach)

    def _plain_logits(self, tokens: Tokens) -> torch.Tensor:
        """Behind each token, (tokens, vocabulary)."""
        import torch

        ids = torch.tensor([list(tokens)], device=self._base.device)
        logits: torch.Tensor = self._base(input_ids=ids, use_cache=False).logits[0].float()
        return logits

    def told_logits(self, prompt: Tokens, told: Tokens) -> torch.Tensor:
        """See `LanguageModel.told_logits`; in a plain pass."""
        return self._plain_logits([*prompt, *told[:-1]])[len(prompt) - 1 :]

    def _plain_logprobs(self, prompt: Tokens, told: Tokens) -> list[float]:
        if not told:
            return []
        logprobs = self.told_logits(prompt, told).log_softmax(-1)
        return [float(x) for x in logprobs[range(len(told)), list(told)].tolist()]
