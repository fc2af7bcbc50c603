"""Language models read behind a soft prefix: next tokens, continuations, and the likelihood of given ones.

The prefix stands before the embedded prompt, so nothing behind it can be cached between two prefixes. What can be saved
is the rest: all beams of a search are leaves of one tree behind one prompt, and so are all candidates of an update.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attacks.cheatagent.trie import Path

if TYPE_CHECKING:
    import torch

    from audit.targets.language_model import LanguageModel

Tokens = Sequence[int]


class Reader(ABC):
    """A frozen model.

    Args:
        lm: the model with its tokenizer. Its weights stop asking for gradients.
        system: system message, for models with a chat template.
    """

    def __init__(self, lm: LanguageModel, system: str = "") -> None:
        self.lm = lm
        self.model = lm.model.requires_grad_(False)
        self.device: torch.device = next(self.model.parameters()).device
        self._system = system
        self._embed = self.model.get_input_embeddings()

    @cached_property
    def embedding_moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the rows of the embedding, per dimension, in float32."""
        weight = self._embed.weight.detach().float()
        return weight.mean(0), weight.std(0)

    @cached_property
    def end(self) -> int:
        """The token that ends a text."""
        ids = (self.lm.tokenizer.eos_token_id, self.lm.tokenizer.sep_token_id, self.lm.pad)
        return int(next(i for i in ids if i is not None))

    @cached_property
    def special(self) -> frozenset[int]:
        """Tokens that are no text."""
        return frozenset(self.lm.tokenizer.all_special_ids)

    def pieces(self) -> list[str]:
        """The decoding of every entry of the vocabulary alone."""
        count = min(len(self.lm.tokenizer), int(self._embed.weight.shape[0]))
        decoded: list[str] = self.lm.tokenizer.batch_decode(
            [[i] for i in range(count)], clean_up_tokenization_spaces=False
        )
        return decoded

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text as an answer."""
        return self.lm.encode([self._lead + text for text in texts])

    @property
    @abstractmethod
    def _lead(self) -> str:
        """What stands between a prompt and its answer."""

    @abstractmethod
    def prompt(self, text: str) -> list[int]:
        """Tokens of an instruction, framed as the model knows it."""

    @property
    def head(self) -> int:
        """How many tokens of a prompt stand before the prefix: the frame is no part of the instruction."""
        return 0

    @abstractmethod
    def open(self, prefixes: torch.Tensor, prompt: Tokens) -> tuple[Any, torch.Tensor]:
        """Read a prompt behind several prefixes.

        Args:
            prefixes: float32, (prefixes, width).
            prompt: its tokens.

        Returns:
            What `extend` goes on from, and the log-probabilities of the answer's first token, float32
            (prefixes, vocabulary).
        """

    @abstractmethod
    def extend(self, state: Any, paths: Sequence[tuple[int, Path]]) -> torch.Tensor:  # noqa: ANN401
        """Log-probabilities of the token behind each beginning of an answer, float32 (paths, vocabulary).

        Args:
            state: from `open`.
            paths: number of the prefix, and the tokens so far. All but the last token were read by an earlier call.
        """

    @abstractmethod
    def nll(self, prefix: torch.Tensor, prompt: Tokens, answers: Sequence[Path]) -> torch.Tensor:
        """Mean negative log-likelihood per token of each answer, in nats, (answers,); differentiable in the prefix.

        Args:
            prefix: float32, (width,).
            prompt: its tokens.
            answers: none empty.
        """

    def _embedded(self, prefixes: torch.Tensor, prompt: Tokens) -> torch.Tensor:
        """F ⊕ 𝒫: (prefixes, 1 + prompt, width), in the model's number type."""
        import torch

        text = self._embed(torch.tensor([list(prompt)], device=self.device)).expand(len(prefixes), -1, -1)
        at = self.head
        return torch.cat([text[:, :at], prefixes[:, None].to(text.dtype), text[:, at:]], 1)


def mean_nll(logprobs: torch.Tensor, reads: Sequence[Sequence[int]], answers: Sequence[Path]) -> torch.Tensor:
    """Mean over the tokens of each answer.

    Args:
        logprobs: (rows, vocabulary).
        reads: per answer, the row that tells each of its tokens.
        answers: their tokens.
    """
    import torch

    return torch.stack([-logprobs[list(r), list(a)].mean() for r, a in zip(reads, answers, strict=True)])
