"""What every recommender over a P5 network shares: exact scores of items from prompts, many requests at once.

A recommender of this kind differs in how it words a request (`Prompter`) and in what its network was trained for. The
spelling of items (`p5_indexing`), the scores without a beam (`p5_scoring`) and the answers (`p5_answers`) are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audit.data.dataset import FloatArray, IntArray
from audit.errors import TargetError
from audit.target import Rendered, TargetInfo
from audit.targets.zoo.anchors import fingerprint, known_part
from audit.targets.zoo.p5_answers import Asked, answers
from audit.targets.zoo.p5_gradients import P5Gradients
from audit.targets.zoo.p5_prompts import Encoded, Prompt, Prompter
from audit.types import Answer, Catalog, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from audit.targets.zoo.p5_model import P5Net

BATCH = 512
"""Requests answered at once."""

_ROWS, _CELLS = 64, 64 * 64
"""Prompts in one pass, and tokens: enough to fill the matrix kernels, few enough to stay in the cache."""


class P5Target(P5Gradients):
    """Ranks and scores items by the log-probability of their tokens, exactly, without a beam.

    Args:
        catalog: the items, in the order of the network's indices.
        net: the trained network.
        prompts: how a request is worded.
        info: its declaration; the fingerprint is added here.
    """

    def __init__(self, catalog: Catalog, net: P5Net, prompts: Prompter, info: TargetInfo) -> None:
        from audit.targets.zoo.p5_scoring import Scorer

        self.catalog, self.net, self.prompts = catalog, net, prompts
        self.scorer = Scorer(net)
        self.vocabulary = net.vocabulary
        numbers = [value.numpy() for _, value in sorted(net.state_dict().items())]
        scheme = f"{info.name}/{self.vocabulary.indexing.scheme}/{' '.join(self.vocabulary.words)}"
        address = fingerprint(scheme, catalog, self.vocabulary.indexing.codes, *numbers)
        self._info = replace(info, fingerprint=address, batch_size=BATCH)

    @property
    def info(self) -> TargetInfo:
        """What the target declares about itself."""
        return self._info

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer each request. A task other than `rank` and `score` is an answer with the outcome `error`."""
        found: list[Answer] = []
        for start in range(0, len(requests), BATCH):
            batch = requests[start : start + BATCH]
            found += answers(self, [Asked(request, self.prompts.prompt(request)) for request in batch])
        return found

    def log_probs(self, encoder: Tensor, prefix: Tensor, items: Tensor | None = None) -> Tensor:
        """Log-probabilities of items from embedded prompts; differentiable in both.

        Args:
            encoder: (batch, length, dim) embeddings of the encoder's tokens, from `embed_encoder`.
            prefix: (batch, n, dim) embeddings of the decoder's tokens.
            items: (batch, m) item indices; None for the whole catalogue.

        Returns:
            (batch, m or items), float64, in nats.
        """
        if items is None:
            return self.scorer.catalogue(encoder, prefix)
        return self.scorer.chosen(encoder, prefix, items).sum(-1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Token numbers (…) to their input embeddings (…, dim)."""
        return self.scorer.embed(tokens)

    def embed_encoder(self, tokens: Tensor) -> Tensor:
        """Token numbers (batch, length) of encoders to what they read, (batch, length, dim)."""
        return self.scorer.embed_encoder(tokens)

    def encode_prompt(self, request: Request) -> Encoded:
        """The tokens of a request's prompt, each with the field that it came from."""
        return self.prompts.encode(request)

    def render(self, request: Request) -> Rendered:
        """The prompt as text: see `Prompter.render`."""
        return self.prompts.render(request)

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        """Prompt tokens of each request, in the encoder and in the decoder's prefix."""
        return [self.prompts.length(self.prompts.prompt(request)) for request in requests]

    def logprobs(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[list[float]]:
        """Log-probability of each token of an item, given its request's prompt, in nats.

        Args:
            requests: whose prompts are continued.
            continuations: for each request an item, by its id or as `render` writes it.

        Raises:
            TargetError: a continuation is no item of the catalogue.
        """
        written = {self.prompts.item_text(i): i for i in range(len(self.catalog))} | self.prompts.index
        unknown = [text for text in continuations if text not in written]
        if unknown:
            raise TargetError(
                f"{self.info.name}: logprobs: {unknown[0]!r} is no item; give the id of one in the catalogue"
            )
        prompts = [self.prompts.prompt(request) for request in requests]
        chosen = [[written[text]] for text in continuations]
        found: list[list[float]] = [[]] * len(prompts)
        for rows, values in self.chosen(list(zip(prompts, chosen, strict=True))):
            for row, value in zip(rows, values.tolist(), strict=True):
                found[row] = value[0]
        return found

    def score(self, histories: Sequence[IntArray], instruction: str | None = None) -> FloatArray:
        """Log-probabilities (histories, items) of every item as the next one; by default under its own wording."""
        wording = self.info.instructions["rank"] if instruction is None else instruction
        prompts = [self.prompts.after(np.asarray(history).tolist(), wording) for history in histories]
        scores = np.empty((len(prompts), len(self.catalog)))
        for rows, values in self.catalogue(prompts):
            scores[rows] = values
        return scores

    def catalogue(self, prompts: Sequence[Prompt]) -> Iterator[tuple[list[int], FloatArray]]:
        """Row numbers of some prompts and their log-probabilities (rows, items), until each prompt has had its turn."""
        import torch

        for rows, encoder, prefix in self.passes(prompts):
            with torch.inference_mode():
                yield rows, self.scorer.catalogue(self.embed_encoder(encoder), self.embed(prefix)).numpy()

    def chosen(self, asked: Sequence[tuple[Prompt, list[int]]]) -> Iterator[tuple[list[int], FloatArray]]:
        """As `catalogue`, for chosen items of each prompt: (rows, m, depth), where rows of fewer than m repeat one."""
        import torch

        for rows, encoder, prefix in self.passes([prompt for prompt, _ in asked]):
            items = [asked[row][1] for row in rows]
            most = max(map(len, items))
            wanted = torch.tensor([line + line[:1] * (most - len(line)) for line in items])
            with torch.inference_mode():
                yield rows, self.scorer.chosen(self.embed_encoder(encoder), self.embed(prefix), wanted).numpy()

    def passes(self, prompts: Sequence[Prompt]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Row numbers of some prompts, and their encoder and decoder tokens.

        Prompts of equal lengths come together: nothing is padded, so no prompt depends on its neighbours.
        """
        import torch

        groups: dict[tuple[int, int, int], list[int]] = {}
        for row, (w, f, n) in enumerate(tuple(map(len, prompt)) for prompt in prompts):
            groups.setdefault((w, f, n), []).append(row)
        table, depth = self.vocabulary.item_tokens, self.vocabulary.indexing.depth
        for (w, f, n), rows in groups.items():
            size = max(1, min(_ROWS, _CELLS // (w + (f + n) * depth + 2)))
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                count = len(part)
                words, far, near = (
                    np.array([prompts[row][at] for row in part], dtype=np.int64).reshape(count, -1) for at in range(3)
                )
                first = np.full((count, 1), self.vocabulary.START)
                last = np.full((count, 1), self.vocabulary.END)
                encoder = np.concatenate([words, table[far].reshape(count, f * depth), last], axis=1)
                prefix = np.concatenate([first, table[near].reshape(count, n * depth)], axis=1)
                yield part, torch.from_numpy(encoder), torch.from_numpy(prefix)


def trained(folder: Path, catalog: Catalog, what: str, architecture: str) -> tuple[Catalog, P5Net]:
    """Weights as training saves them, and their items with the titles of `catalog`, in the network's order.

    Args:
        folder: where they lie.
        catalog: that they are to be used with.
        what: name of the recommender, for error sentences.
        architecture: of the weights.

    Raises:
        TargetError: the weights cannot be read, or know an item that `catalog` lacks.
    """
    from audit.targets.zoo.p5_model import load

    net, ids = load(folder, what, architecture)
    return known_part(what, folder, ids, catalog), net
