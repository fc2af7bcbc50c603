"""Running trees through a causal model, pass by pass, with a cache of the prefixes they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from audit.targets.engine import memory
from audit.targets.engine.adapters import lean, lora_layers
from audit.targets.engine.attention import ROWS, Pass, Run, ScoringPass, Twig, attending
from audit.targets.engine.cache import Block, BlockCache
from audit.targets.engine.plan import BLOCK, Tree, in_order

if TYPE_CHECKING:
    import torch

_HEAD_ROWS = 256
"""Outputs that go through the language head at once: their logits are the largest tensor there is."""


class PrefixRunner:
    """A causal model that runs trees.

    Args:
        model: a transformers causal model, without a PEFT wrapper around it (adapter layers inside are fine).
        pad: a valid token id, to fill up rows.
        max_cache_bytes: bound of the prefix cache.
        max_tokens: tokens per forward pass; None for what fits the free memory.

    Attributes:
        dtype: of weights and activations.
        device: of the model.
        cache: of the prefixes.
        mixes: whether one pass may hold tokens of several requests (see the package's text).
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - transformers models have no useful static type
        *,
        pad: int,
        max_cache_bytes: int,
        max_tokens: int | None = None,
    ) -> None:
        self.model = model
        self.dtype: torch.dtype = next(model.parameters()).dtype
        self.device: torch.device = next(model.parameters()).device
        self.cache = BlockCache(max_cache_bytes)
        self.mixes = True
        self._stamp = 0
        self._pad = pad
        self._max_tokens = max_tokens

    @cached_property
    def _body(self) -> Any:  # noqa: ANN401 - see __init__
        return getattr(self.model, self.model.base_model_prefix)

    @cached_property
    def _lora_layers(self) -> list[Any]:
        return lora_layers(self.model)

    @property
    def head(self) -> Any:  # noqa: ANN401 - see __init__
        """The language head."""
        return self.model.get_output_embeddings()

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Layers, key heads and width of a head."""
        config = self.model.config
        heads = int(config.num_attention_heads)
        width = getattr(config, "head_dim", None) or int(config.hidden_size) // heads
        return int(config.num_hidden_layers), int(getattr(config, "num_key_value_heads", None) or heads), int(width)

    @property
    def group(self) -> int:
        """Query heads per key head."""
        return int(self.model.config.num_attention_heads) // self.shape[1]

    def room(self, *lengths: int) -> torch.Tensor:
        """Uninitialised keys and values, (layers, *lengths[:-1], 2, key heads, lengths[-1], width)."""
        import torch

        layers, heads, width = self.shape
        return torch.empty((layers, *lengths[:-1], 2, heads, lengths[-1], width), dtype=self.dtype, device=self.device)

    def run(
        self, trees: Sequence[Tree], *, keep: Sequence[torch.Tensor] | None = None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Last hidden states of the nodes that each tree reads, in `plan.in_order`.

        Args:
            trees: to run.
            keep: per tree (layers, 2, key heads, at least trunk + tokens, width), which takes its keys and values.

        Yields:
            Index of the tree and its states, (nodes, width).
        """
        self._forget_other_weights()
        order = in_order(trees)
        while order:
            runs, twigs = self._fill(trees, order)
            batch = order[: len(twigs)]
            if keep is not None:
                for i, twig in zip(batch, twigs, strict=True):
                    twig.kept = keep[i]
            try:
                states = self._mixed(runs, twigs) if self.mixes else self._apart(runs, twigs)
            except RuntimeError as error:
                if self._budget <= memory.LEAST or not memory.ran_out(error):
                    raise
                self._max_tokens = self._budget // 2
                continue
            order = order[len(twigs) :]
            for i, twig, rows in zip(batch, twigs, states, strict=True):
                self.cache.put(twig.trunk)
                yield i, rows

    def _forget_other_weights(self) -> None:
        """Empty the cache when weights were changed in place, as a step of training does.

        Writing through `Tensor.data` leaves no trace; whoever does that clears `cache`.
        """
        stamp = hash(tuple((p.data_ptr(), 0 if p.is_inference() else p._version) for p in self.model.parameters()))
        if stamp != self._stamp:
            self.cache.clear()
            self._stamp = stamp

    @property
    def _budget(self) -> int:
        if self._max_tokens is None:
            self._max_tokens = memory.token_budget(self.model.config, self.device, self.dtype.itemsize)
        return self._max_tokens

    def _fill(self, trees: Sequence[Tree], order: Sequence[int]) -> tuple[list[Run], list[Twig]]:
        """The next trees that fit one pass, and the blocks in front of them that have to be computed."""
        runs: list[Run] = []
        twigs: list[Twig] = []
        planned: dict[tuple[int, tuple[int, ...]], Block] = {}
        size = 0
        for i in order:
            # All of its blocks are counted, though some may be known: a bound that needs no look into the cache.
            if twigs and size + trees[i].trunk + len(trees[i]) > self._budget:
                break
            trunk: list[Block] = []
            new: list[Block] = []
            for tokens in trees[i].blocks:
                parent = trunk[-1] if trunk else None
                block = planned.get((parent.id if parent else 0, tokens)) or self.cache.find(parent, tokens)
                if block is None:
                    block = Block(tokens, self.room(BLOCK))
                    planned[parent.id if parent else 0, tokens] = block
                    new.append(block)
                trunk.append(block)
            if new:
                runs.append(Run(trunk[: len(trunk) - len(new)], new))
            twigs.append(Twig(trunk, trees[i]))
            size += BLOCK * len(new) + len(trees[i])
        return runs, twigs

    def _mixed(self, runs: Sequence[Run], twigs: Sequence[Twig]) -> list[torch.Tensor]:
        at = 0
        parts: list[Run | Twig] = [*runs, *twigs]
        for part in parts:
            part.start = at
            at += len(part)
        states = self._score(runs, twigs)
        return [states[[twig.start + node for node in twig.tree.nodes]] for twig in twigs]

    def _apart(self, runs: Sequence[Run], twigs: Sequence[Twig]) -> list[torch.Tensor]:
        """Every block and every tree in a pass of its own, for models whose products depend on the rows beside."""
        for run in runs:
            for n, block in enumerate(run.blocks):
                self._score([Run([*run.before, *run.blocks[:n]], [block])], [])
        states = []
        for twig in twigs:
            twig.start = 0
            states.append(self._score([], [twig])[twig.tree.nodes])
        return states

    def _score(self, runs: Sequence[Run], twigs: Sequence[Twig]) -> torch.Tensor:
        ids: list[int] = []
        positions: list[int] = []
        for run in runs:
            for block in run.blocks:
                ids += block.tokens
            first = len(run.before) * BLOCK
            positions += range(first, first + len(run))
        for twig in twigs:
            ids += twig.tree.tokens
            positions += twig.tree.depths
        return self.forward(
            ids, positions, ScoringPass(runs, twigs, group=self.group, dtype=self.dtype, device=self.device)
        )

    def forward(self, ids: Sequence[int], positions: Sequence[int], segments: Pass) -> torch.Tensor:
        """Last hidden states of a row of tokens, (tokens, width)."""
        import torch

        fill = -len(ids) % ROWS
        row = torch.tensor([[*ids, *[self._pad] * fill]], device=self.device)
        places = torch.tensor([[*positions, *[0] * fill]], device=self.device)
        with attending(self.model.config), lean(self._lora_layers):
            out = self._body(input_ids=row, position_ids=places, use_cache=False, segments=segments)
        states: torch.Tensor = out[0][0, : len(ids)]
        return states

    def logits(self, states: torch.Tensor, only: Sequence[int] | None = None) -> torch.Tensor:
        """Logits in float32 of hidden states (rows, width): (rows, vocabulary), or (rows, len(only)).

        With `only`, products are summed in float32: differences of two logits near 20 would lose their digits in
        bfloat16. They are summed row by row and column by column, so that neither depends on the others.
        """
        import torch

        if only is not None:
            weight = self.head.weight[list(only)].float()
            bias = getattr(self.head, "bias", None)
            rows = torch.stack([(weight * state).sum(1) for state in states.float()])
            return rows if bias is None else rows + bias[list(only)].float()
        return torch.cat([self._read_out(chunk).float() for chunk in _chunks(states, _HEAD_ROWS)])[: len(states)]

    def logprobs(self, states: torch.Tensor, rows: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """Log-probability in nats of tokens.

        Args:
            states: last hidden states (nodes, width).
            rows: behind which of them each token stands.
            tokens: as many as rows.
        """
        import torch

        told = torch.tensor([rows, tokens], device=states.device)
        found = torch.empty(len(tokens), device=states.device)
        for number, chunk in enumerate(_chunks(states, _HEAD_ROWS)):
            logits = self._read_out(chunk)
            # Few rows at a time stay in the processor's cache.
            norms = torch.cat([logits[i : i + ROWS].float().logsumexp(1) for i in range(0, len(logits), ROWS)])
            here = (told[0] // _HEAD_ROWS == number).nonzero()[:, 0]
            places = told[0, here] - number * _HEAD_ROWS
            found[here] = logits[places, told[1, here]].float() - norms[places]
        return [float(x) for x in found.tolist()]

    def _read_out(self, states: torch.Tensor) -> torch.Tensor:
        """Logits of a number of rows that is a multiple of `ROWS`."""
        logits: torch.Tensor = self.head(states)
        return logits


def _chunks(states: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Up to `size` rows at a time, the last filled up to a multiple of `ROWS`."""
    import torch

    for start in range(0, len(states), size):
        chunk = states[start : start + size]
        yield torch.nn.functional.pad(chunk, (0, 0, 0, -len(chunk) % ROWS))
