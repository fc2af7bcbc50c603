"""An encoder-decoder model on this machine, such as T5: the prompt is its input, the answer what its decoder says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from audit.targets.engine.seq2seq import Seq2SeqEngine
from audit.targets.language_model import LanguageModel
from audit.targets.packing import Tokens

if TYPE_CHECKING:
    import torch

    from audit.targets.engine.causal import ContinuationScore
    from audit.targets.sampling import Draw


class Seq2SeqLM(LanguageModel):
    """An encoder-decoder model; asked as its base class says.

    The encoder reads a prompt with the special tokens that the tokenizer puts around a text, as in its training.
    """

    @cached_property
    def engine(self) -> Seq2SeqEngine:
        """Runs the model; its cache of encoder outputs lives as long as this object."""
        return Seq2SeqEngine(self._base, max_cache_bytes=self.max_cache_bytes)

    @property
    def note(self) -> str:
        """See `LanguageModel.note`."""
        return self.engine.note

    def lead(self, prompt: str) -> str:
        """Nothing: the answer is a text of its own."""
        del prompt
        return ""

    def next_logits(
        self, groups: Sequence[Sequence[Tokens]], *, only: Sequence[int] | None = None
    ) -> list[torch.Tensor]:
        """See `LanguageModel.next_logits`."""
        return [self.engine.next_logits([self._input(p) for p in prompts], only=only) for prompts in groups]

    def score_continuations(
        self, prompts: Sequence[Tokens], continuations: Sequence[Sequence[Tokens]]
    ) -> list[list[ContinuationScore]]:
        """See `LanguageModel.score_continuations`; each prompt is encoded once."""
        return self.engine.score_continuations([self._input(p) for p in prompts], continuations)

    def told_logits(self, prompt: Tokens, told: Tokens) -> torch.Tensor:
        """See `LanguageModel.told_logits`; in a plain pass."""
        import torch

        device = self._base.device
        asked, answer = (torch.tensor([list(ids)], device=device) for ids in (self._input(prompt), told))
        logits: torch.Tensor = self._base(input_ids=asked, labels=answer, use_cache=False).logits[0].float()
        return logits

    def generate(
        self,
        prompts: Sequence[Tokens],
        *,
        max_new_tokens: int,
        batch_size: int = 32,
        draws: Sequence[Draw] | None = None,
    ) -> list[list[int]]:
        """See `LanguageModel.generate`; texts are written one at a time."""
        del batch_size
        return self.engine.generate([self._input(p) for p in prompts], max_new_tokens=max_new_tokens, draws=draws)

    def _input(self, prompt: Tokens) -> list[int]:
        ids: list[int] = self.tokenizer.build_inputs_with_special_tokens(list(prompt))
        return ids
