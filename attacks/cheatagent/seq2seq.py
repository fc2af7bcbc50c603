"""Encoder-decoder models behind a soft prefix, which stands before the encoder's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attacks.cheatagent.reader import Reader, Tokens, mean_nll
from attacks.cheatagent.trie import Path

if TYPE_CHECKING:
    import torch


class Seq2SeqReader(Reader):
    """An encoder-decoder model: the prefix stands before the encoder's input, which is read once for all answers."""

    @property
    def _lead(self) -> str:
        return ""

    def prompt(self, text: str) -> list[int]:
        """See `Reader`."""
        ids: list[int] = self.lm.tokenizer.build_inputs_with_special_tokens(self.lm.encode([text])[0])
        return ids

    def open(self, prefixes: torch.Tensor, prompt: Tokens) -> tuple[Any, torch.Tensor]:
        """See `Reader`."""
        encoded = self._encode(prefixes, prompt)
        return encoded, self._decode(encoded, [()] * len(prefixes))[:, -1]

    def extend(self, state: Any, paths: Sequence[tuple[int, Path]]) -> torch.Tensor:  # noqa: ANN401
        """See `Reader`; answers are a few tokens long, so the decoder reads each from its start."""
        return self._decode(state[[row for row, _ in paths]], [path for _, path in paths])[:, -1]

    def nll(self, prefix: torch.Tensor, prompt: Tokens, answers: Sequence[Path]) -> torch.Tensor:
        """See `Reader`."""
        longest = max(map(len, answers))
        padded = [(*a[:-1], *[self.lm.pad] * (longest - len(a))) for a in answers]
        encoded = self._encode(prefix[None], prompt).expand(len(answers), -1, -1)
        logprobs = self._decode(encoded, padded)
        reads = [[row * longest + n for n in range(len(a))] for row, a in enumerate(answers)]
        return mean_nll(logprobs.flatten(0, 1), reads, answers)

    def _encode(self, prefixes: torch.Tensor, prompt: Tokens) -> torch.Tensor:
        encoded: torch.Tensor = self.model.get_encoder()(inputs_embeds=self._embedded(prefixes, prompt))[0]
        return encoded

    def _decode(self, encoded: torch.Tensor, paths: Sequence[Path]) -> torch.Tensor:
        """Log-probabilities behind the start and behind each token, (paths, 1 + tokens, vocabulary)."""
        import torch

        told = self.model.generation_config.decoder_start_token_id
        start = next(t for t in (told, self.model.config.decoder_start_token_id, self.lm.pad) if t is not None)
        ids = torch.tensor([[start, *path] for path in paths], device=self.device)
        out = self.model(encoder_outputs=(encoded,), decoder_input_ids=ids, use_cache=False)
        logprobs: torch.Tensor = out.logits.float().log_softmax(-1)
        return logprobs
