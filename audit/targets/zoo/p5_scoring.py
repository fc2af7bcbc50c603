"""Exact log-probabilities of items under a P5 network, many prompts at once, in one pass.

It computes what the stock T5 computes (the tests hold it to that), laid out for speed: see `p5_layers` for the weights;
the last decoder layer is run at the positions that are read, and an item of several tokens costs no second pass: the
beginnings of items stand behind the prefix as a tree, each token seeing the prefix, the tokens before it and itself.

Everything works on embeddings, so a gradient with respect to them is to be had from the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audit.data.dataset import IntArray
from audit.targets.zoo.p5_layers import Layer, Part, decoder_layer, encoder_layer
from audit.targets.zoo.p5_model import P5Net, item_numbers


@dataclass(frozen=True)
class _Beginnings:
    """Every way in which an item begins, one node each, the shorter ones first.

    Attributes:
        levels: (nodes) level of the node's last token.
        codes: (nodes) number of that token within its level.
        parents: node of the beginning without that token; -1 where nothing is left.
        of_items: (items, depth - 1) node of an item's first token, of its first two, and so on.
        bounds: first node of each level, and the one behind its last.
    """

    levels: Tensor
    codes: Tensor
    parents: tuple[int, ...]
    of_items: Tensor
    bounds: tuple[tuple[int, int], ...]


def _beginnings(codes: IntArray) -> _Beginnings:
    """The beginnings of items of these codes (items, depth)."""
    items, depth = codes.shape
    levels: list[int] = []
    last: list[int] = []
    parents: list[int] = []
    of_items = np.full((items, depth - 1), -1)
    bounds = []
    for level in range(depth - 1):
        first = len(last)
        nodes, some, own = np.unique(codes[:, : level + 1], axis=0, return_index=True, return_inverse=True)
        of_items[:, level] = first + own.reshape(-1)
        parents += of_items[some, level - 1].tolist() if level else [-1] * len(nodes)
        last += nodes[:, -1].tolist()
        levels += [level] * len(nodes)
        bounds.append((first, len(last)))
    return _Beginnings(
        torch.tensor(levels), torch.tensor(last), tuple(parents), torch.from_numpy(of_items), tuple(bounds)
    )


class Scorer:
    """Log-probabilities of items, given encoder and decoder tokens.

    Prompts of one call have equal lengths: nothing is padded, so no prompt depends on its neighbours.

    Args:
        net: the trained network; later changes of its weights are not seen.
    """

    def __init__(self, net: P5Net) -> None:
        t5: Part = net.t5
        hyper = net.hyper
        self.heads, self.gated = hyper.heads, hyper.gated
        self.epsilon = float(t5.config.layer_norm_epsilon)
        indexing, self.depth = net.vocabulary.indexing, net.vocabulary.indexing.depth
        self.codes = torch.from_numpy(indexing.codes)
        with torch.no_grad():
            self.table = t5.shared.weight.detach().clone()
            self.whole_words = None if net.whole_words is None else net.whole_words.weight.detach().clone()
            self.encoder = [encoder_layer(block, hyper.gated) for block in t5.encoder.block]
            self.decoder = [decoder_layer(block, hyper.gated, t5.encoder) for block in t5.decoder.block]
            last = t5.decoder.final_layer_norm.weight
            self.heads_of_levels = [
                (t5.lm_head.weight[start:end] * last).T.contiguous() for start, end in net.vocabulary.blocks
            ]
            self.words_head = (t5.lm_head.weight[: net.vocabulary.first_bucket] * last).T.contiguous()
        self.vocabulary = net.vocabulary
        self.starts = torch.tensor([start for start, _ in net.vocabulary.blocks])
        self.beginnings = _beginnings(indexing.codes)
        self._encoder_bias = t5.encoder.block[0].layer[0].SelfAttention
        self._decoder_bias = t5.decoder.block[0].layer[0].SelfAttention
        self._biases: dict[tuple[int, ...], Tensor] = {}

    def embed(self, tokens: Tensor) -> Tensor:
        """Tokens (…) to embeddings (…, dim)."""
        return functional.embedding(tokens, self.table)

    def embed_encoder(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, length) of an encoder to embeddings (batch, length, dim)."""
        embedded = self.embed(tokens)
        if self.whole_words is None:
            return embedded
        numbers = item_numbers(tokens, self.vocabulary, len(self.whole_words) - 1)
        return embedded + functional.embedding(numbers, self.whole_words)

    def encode(self, embedded: Tensor) -> Tensor:
        """Embedded encoder tokens (batch, length, dim) to the memory that the decoder reads, of the same shape."""
        hidden, bias = embedded, self._bidirectional(embedded.shape[1])
        for layer in self.encoder:
            query, key, value = self._split(self._norm(hidden) @ layer.joint, 3)
            hidden = hidden + self._attend(query, key, value, bias) @ layer.out
            hidden = hidden + self._feed(hidden, layer)
        return self._norm(hidden)

    def decode(
        self, memory: Tensor, prefix: Tensor, branches: Tensor | None = None, parents: tuple[int, ...] = ()
    ) -> Tensor:
        """States that predict the next token, after the prefix and after the prefix with each branch.

        Args:
            memory: (batch, length, dim) from `encode`.
            prefix: (batch, n, dim) embedded decoder tokens, the start token first.
            branches: (batch, b, dim) embedded tokens that might follow the prefix.
            parents: (b) the branch that each branch continues, one that stands before it; -1 for the prefix itself.

        Returns:
            (batch, 1 + b, dim).
        """
        n = prefix.shape[1]
        hidden = prefix if branches is None else torch.cat([prefix, branches], dim=1)
        bias = self._causal(n, parents)
        for number, layer in enumerate(self.decoder):
            query, key, value = self._split(self._norm(hidden) @ layer.joint, 3)
            if number == len(self.decoder) - 1:  # nothing reads the states before the end of the prefix again
                query, hidden, bias = query[:, :, n - 1 :], hidden[:, n - 1 :], bias[:, :, n - 1 :]
            hidden = hidden + self._attend(query, key, value, bias) @ layer.out
            (query,) = self._split(self._norm(hidden) @ layer.cross_query, 1)
            key, value = self._split(memory @ layer.memory, 2)
            hidden = hidden + self._attend(query, key, value, None) @ layer.cross_out
            hidden = hidden + self._feed(hidden, layer)
        return self._norm(hidden)

    def catalogue(self, encoder: Tensor, prefix: Tensor) -> Tensor:
        """Log-probabilities (batch, items), float64, of every item, given embeddings as for `encode` and `decode`."""
        memory = self.encode(encoder)
        if self.depth == 1:
            return self._levels(self.decode(memory, prefix), 0)[:, 0]
        tree = self.beginnings
        branches = self.embed(self.starts[tree.levels] + tree.codes).expand(len(memory), -1, -1)
        states = self.decode(memory, prefix, branches, tree.parents)
        total = self._levels(states[:, :1], 0)[:, 0][:, self.codes[:, 0]]
        for level in range(1, self.depth):
            first, end = tree.bounds[level - 1]
            values = self._levels(states[:, 1 + first : 1 + end], level)
            total = total + values[:, tree.of_items[:, level - 1] - first, self.codes[:, level]]
        return total

    def chosen(self, encoder: Tensor, prefix: Tensor, items: Tensor) -> Tensor:
        """Log-probability of each token of some items.

        Args:
            encoder: (batch, length, dim) embedded encoder tokens.
            prefix: (batch, n, dim) embedded decoder tokens.
            items: (batch, m) item indices.

        Returns:
            (batch, m, depth), float64.
        """
        memory = self.encode(encoder)
        codes = self.codes[items]  # (batch, m, depth)
        if self.depth == 1:
            return self._levels(self.decode(memory, prefix), 0)[:, 0].gather(1, items)[..., None]
        # Each item is a chain of its own: first tokens of all items, then second tokens, and so on.
        count = items.shape[1]
        chains = (self.starts + codes)[..., :-1].transpose(1, 2).flatten(1)
        parents = tuple(max(i - count, -1) for i in range(chains.shape[1]))
        states = self.decode(memory, prefix, self.embed(chains), parents)
        found = [self._levels(states[:, :1], 0)[:, 0].gather(1, codes[..., 0])]
        for level in range(1, self.depth):
            values = self._levels(states[:, 1 + (level - 1) * count : 1 + level * count], level)
            found.append(values.gather(2, codes[..., level : level + 1])[..., 0])
        return torch.stack(found, dim=-1)

    def write(self, encoder: Tensor, most: int) -> list[list[int]]:
        """The likeliest words, one after the other, that the decoder says after its start token alone.

        Args:
            encoder: (batch, length, dim) embedded encoder tokens.
            most: longest text in tokens.

        Returns:
            For each row the tokens before the end token.
        """
        memory = self.encode(encoder)
        said = torch.full((len(memory), 1), self.vocabulary.START)
        ended = torch.zeros(len(memory), dtype=torch.bool)
        while not ended.all() and said.shape[1] <= most:
            logits = self.decode(memory, self.embed(said))[:, 0] @ self.words_head
            logits[:, [self.vocabulary.START, self.vocabulary.UNKNOWN]] = -torch.inf
            following = logits.argmax(-1)
            ended |= following == self.vocabulary.END
            said = torch.cat([said, following.masked_fill(ended, self.vocabulary.END)[:, None]], dim=1)
        return [[token for token in line[1:] if token != self.vocabulary.END] for line in said.tolist()]

    def _levels(self, states: Tensor, level: int) -> Tensor:
        # Float64 from here on: sums over the catalogue then cost no digit that an order could hang on.
        logits: Tensor = states @ self.heads_of_levels[level]
        return logits.double().log_softmax(-1)

    def _norm(self, hidden: Tensor) -> Tensor:
        return hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + self.epsilon)

    def _feed(self, hidden: Tensor, layer: Layer) -> Tensor:
        inner = self._norm(hidden) @ layer.wide
        if self.gated:
            gate, inner = inner.chunk(2, dim=-1)
            return (functional.gelu(gate, approximate="tanh") * inner) @ layer.narrow
        return inner.relu_() @ layer.narrow

    def _split(self, joint: Tensor, parts: int) -> Sequence[Tensor]:
        """(batch, n, parts * heads * width) to `parts` tensors (batch, heads, n, width)."""
        batch, n, width = joint.shape
        return joint.view(batch, n, parts, self.heads, width // (parts * self.heads)).permute(2, 0, 3, 1, 4).unbind(0)

    @staticmethod
    def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        # By hand: at these sizes a third faster than the fused kernel.
        scores = query @ key.transpose(2, 3)
        if bias is not None:
            scores += bias
        return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)

    def _bidirectional(self, length: int) -> Tensor:
        return self._cached((length,), lambda: self._encoder_bias.compute_bias(length, length))

    def _causal(self, n: int, parents: tuple[int, ...]) -> Tensor:
        """Bias (1, heads, n + b, n + b): a branch sees the prefix, those that it continues, and itself.

        It stands at position n where it follows the prefix, one further than its parent elsewhere.
        """

        def make() -> Tensor:
            b = len(parents)
            branches, places = torch.eye(b, dtype=torch.bool), list(range(n))
            for i, parent in enumerate(parents):
                places.append(n if parent < 0 else places[n + parent] + 1)
                if parent >= 0:
                    branches[i] |= branches[parent]
            length = max(places) + 1
            bias = self._decoder_bias.compute_bias(length, length)[:, :, places][:, :, :, places]
            seen = torch.ones(n + b, n + b, dtype=torch.bool).tril()
            seen[n:, n:] = branches
            masked: Tensor = bias.masked_fill(~seen, -torch.inf)
            return masked

        return self._cached((n, len(parents), *parents), make)

    def _cached(self, key: tuple[int, ...], make: Callable[[], Tensor]) -> Tensor:
        found = self._biases.get(key)
        if found is None:
            if len(self._biases) >= 512:  # an attack may try any length; the table stays small
                self._biases.clear()
            with torch.no_grad():
                found = self._biases[key] = make().contiguous()
        return found
