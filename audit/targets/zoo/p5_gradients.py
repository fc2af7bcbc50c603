"""Gradients of a P5-style target's loss with respect to the embeddings of its prompt's tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from audit.target import Span, TokenGradients
from audit.targets.zoo.p5_prompts import Encoded, Prompter
from audit.targets.zoo.p5_vocabulary import Vocabulary, pieces
from audit.types import Item, Request

if TYPE_CHECKING:
    from torch import Tensor


class P5Gradients(ABC):
    """The white-box side of the P5-style target; see `audit.target.GivesGradients`.

    `score` has the loss of `rank`: its numbers are log-probabilities of items, not decisions.
    """

    prompts: Prompter
    vocabulary: Vocabulary

    @abstractmethod
    def encode_prompt(self, request: Request) -> Encoded:
        """The tokens of a request's prompt."""

    @abstractmethod
    def embed(self, tokens: Tensor) -> Tensor:
        """Token numbers to embeddings."""

    @abstractmethod
    def embed_encoder(self, tokens: Tensor) -> Tensor:
        """Token numbers of the encoder to what it reads."""

    @abstractmethod
    def log_probs(self, encoder: Tensor, prefix: Tensor, items: Tensor | None = None) -> Tensor:
        """Log-probabilities of items from embedded prompts."""

    def gradients(self, requests: Sequence[Request], relevant: Sequence[frozenset[str]]) -> list[TokenGradients]:
        """See `audit.target.GivesGradients`. Prompts of equal length are read together."""
        encoded = [self.encode_prompt(request) for request in requests]
        groups: dict[tuple[int, int], list[int]] = {}
        for row, prompt in enumerate(encoded):
            groups.setdefault((len(prompt.encoder), len(prompt.decoder)), []).append(row)
        found: dict[int, TokenGradients] = {}
        for rows in groups.values():
            part = self._together([encoded[r] for r in rows], [requests[r] for r in rows], [relevant[r] for r in rows])
            found.update(zip(rows, part, strict=True))
        return [found[row] for row in range(len(requests))]

    def _together(
        self, encoded: Sequence[Encoded], requests: Sequence[Request], relevant: Sequence[frozenset[str]]
    ) -> list[TokenGradients]:
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            read = torch.tensor([[token.number for token in e.encoder] for e in encoded])
            prefix = torch.tensor([[token.number for token in e.decoder] for e in encoded])
            encoder, decoder = (
                embedded.detach().clone().requires_grad_(True)
                for embedded in (self.embed_encoder(read), self.embed(prefix))
            )
            values = self.log_probs(encoder, decoder)
            losses = [self._loss(row, r, w) for row, r, w in zip(values, requests, relevant, strict=True)]
            slopes = torch.autograd.grad(torch.stack(losses).sum(), (encoder, decoder))
        embeddings = torch.cat([encoder, decoder], dim=1).detach().numpy()
        gradients = torch.cat(slopes, dim=1).numpy()
        found = []
        for row, prompt in enumerate(encoded):
            tokens = (*prompt.encoder, *prompt.decoder)
            kept = [i for i, token in enumerate(tokens) if token.field]
            spans = tuple(Span(tokens[i].start, tokens[i].end, tokens[i].field) for i in kept)
            found.append(
                TokenGradients(spans, embeddings[row, kept], gradients[row, kept], float(losses[row].detach()))
            )
        return found

    def _loss(self, values: Tensor, request: Request, wanted: frozenset[str]) -> Tensor:
        index = self.prompts.index
        right = [index[item_id] for item_id in sorted(wanted) if item_id in index]
        if request.candidates is None:
            return -values[right].logsumexp(0) if right else values.sum() * 0.0
        offered = [index[item.id] for item in request.candidates if item.id in index]
        right = [i for i in right if i in offered]
        return values[offered].logsumexp(0) - values[right].logsumexp(0) if right else values.sum() * 0.0

    def word_embeddings(self, words: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """See `audit.target.GivesGradients`."""
        return [self._embedded([self.vocabulary.word(piece) for piece, _ in pieces(word)]) for word in words]

    def item_embeddings(self, items: Sequence[Item]) -> list[npt.NDArray[np.float32]]:
        """See `audit.target.GivesGradients`; an item outside the catalogue is the unknown item."""
        table, index = self.vocabulary.item_tokens, self.prompts.index
        return [self._embedded(table[index.get(item.id, len(index))].tolist()) for item in items]

    def _embedded(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        import torch

        found: npt.NDArray[np.float32] = self.embed(torch.tensor(tokens, dtype=torch.long)).detach().numpy()
        return found
