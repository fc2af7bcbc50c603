"""One flat row of tokens through a transformers model: a pass holds blocks and trees of many requests side by side.

Everything in a transformer but attention treats tokens alone, so tokens of any origin share its matrix products without
padding. Attention goes through a function that transformers lets us name (`AttentionInterface`); ours lets each block
attend to the blocks before it and each tree to its trunk and ancestors. Positions are handed to the model, which gives
each token its own, whatever its place in the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from audit.targets.engine.cache import Block
from audit.targets.engine.plan import BLOCK, Tree

if TYPE_CHECKING:
    import torch

ROWS = 16
"""A row is filled up to a multiple of this: below it, products of a few rows go through other kernels."""

_STRETCH = 64
"""Tokens of a tree that attend in one call: fewer compute less that is masked, more cost fewer calls."""

_NAME = "recaudit_segments"
_UNKNOWN = ("softcap", "s_aux", "head_mask")
"""Arguments that change what attention computes, and that ours does not know."""


class Unsupported(TypeError):
    """The model's attention asks for something that this engine does not do."""


class Pass(Protocol):
    """What attends in one forward pass.

    Attributes:
        reach: the longest sequence in it, in tokens.
    """

    reach: int

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        """Output of attention for all tokens of the row, (1, heads, tokens, width) like `query`."""
        ...


@contextmanager
def attending(config: Any) -> Iterator[None]:  # noqa: ANN401 - a transformers configuration has no useful type
    """Let the model of this configuration attend through the `Pass` that its forward is given as `segments`."""
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _attend)
    before = config._attn_implementation
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _attend(
    module: Any,  # noqa: ANN401 - any model's attention layer
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    segments: Pass | None = None,
    scaling: float | None = None,
    **options: Any,  # noqa: ANN401 - whatever the architecture hands over
) -> tuple[torch.Tensor, None]:
    del attention_mask
    if segments is None:
        raise Unsupported("it does not hand arguments on to its attention")
    for name in _UNKNOWN:
        if options.get(name) is not None:
            raise Unsupported(f"its attention uses {name}")
    window = options.get("sliding_window")
    if window is not None and segments.reach > window:
        raise Unsupported(f"its attention sees only the last {window} tokens")
    return segments.attend(module.layer_idx, query, key, value, scaling).transpose(1, 2).contiguous(), None


def sdpa(query: torch.Tensor, kv: torch.Tensor, mask: torch.Tensor | None, scaling: float | None) -> torch.Tensor:
    """Attention with grouped heads: the heads of a group are rows of one head, so keys are not copied for each.

    Args:
        query: (rows, heads, tokens, width).
        kv: (rows, 2, groups, length, width).
        mask: added to the scores, (rows or 1, 1, heads / groups x tokens, length); see `tiled`.
        scaling: of the scores; None for width^-1/2.

    Returns:
        (rows, heads, tokens, width).
    """
    from torch.nn import functional

    rows, heads, tokens, width = query.shape
    groups = kv.shape[2]
    folded = query.reshape(rows, groups, heads // groups * tokens, width)
    out = functional.scaled_dot_product_attention(folded, kv[:, 0], kv[:, 1], attn_mask=mask, scale=scaling)
    return out.reshape(rows, heads, tokens, width)


def tiled(sees: torch.Tensor, group: int, dtype: torch.dtype) -> torch.Tensor:
    """A mask of booleans (tokens, length) as numbers to add, once for each head of a group."""
    import torch

    mask = torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill_(~sees, float("-inf"))
    return mask.repeat(group, 1)[None, None]


@dataclass
class Run:
    """Consecutive new blocks of one prefix.

    Attributes:
        before: the blocks in front of them, older or computed in the same pass.
        blocks: the new ones.
        start: place of their first token in the row.
    """

    before: Sequence[Block]
    blocks: Sequence[Block]
    start: int = 0

    def __len__(self) -> int:
        return BLOCK * len(self.blocks)


@dataclass
class Twig:
    """A tree in a row.

    Attributes:
        trunk: the blocks in front of it, older or computed in the same pass.
        tree: its tokens.
        start: place of its first token in the row.
        kept: (layers, 2, groups, at least trunk + tokens, width): takes the keys and values of trunk and tree, where a
            text will go on from them.
    """

    trunk: Sequence[Block]
    tree: Tree
    start: int = 0
    kept: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.tree)


class ScoringPass:
    """Blocks and trees of many requests.

    Args:
        runs: new blocks, a block never before its ancestors.
        twigs: trees.
        group: query heads per key head.
        dtype: of the model.
        device: of the model.
    """

    def __init__(
        self, runs: Sequence[Run], twigs: Sequence[Twig], *, group: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        import torch

        self._runs = runs
        self._twigs = twigs
        self._block_masks: dict[int, torch.Tensor] = {}
        for run in runs:
            for depth in range(len(run.before), len(run.before) + len(run.blocks)):
                if depth not in self._block_masks:
                    sees = torch.ones((BLOCK, (depth + 1) * BLOCK), dtype=torch.bool).tril(depth * BLOCK)
                    self._block_masks[depth] = tiled(sees, group, dtype).to(device)
        self.reach = max(
            [(len(r.before) + len(r.blocks)) * BLOCK for r in runs] + [max(t.tree.depths) + 1 for t in twigs]
        )
        self._looks = [_looks(t.tree, group, dtype, device) for t in twigs]

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        """See `Pass.attend`; also fills the new blocks."""
        import torch

        new = torch.cat([key, value])  # (2, groups, row, width)
        for run in self._runs:
            for i, block in enumerate(run.blocks):
                at = run.start + i * BLOCK
                block.kv[layer] = new[:, :, at : at + BLOCK]
        # What fills up the row attends to nothing; zeros keep it finite.
        out = torch.zeros_like(query)
        for run in self._runs:
            kv = torch.cat([b.kv[layer] for b in (*run.before, *run.blocks)], dim=2)[None]
            for i in range(len(run.blocks)):
                depth = len(run.before) + i
                rows = slice(run.start + i * BLOCK, run.start + (i + 1) * BLOCK)
                known = kv[:, :, :, : (depth + 1) * BLOCK]
                out[:, :, rows] = sdpa(query[:, :, rows], known, self._block_masks[depth], scaling)
        for twig, looks in zip(self._twigs, self._looks, strict=True):
            kv = torch.cat([*(b.kv[layer] for b in twig.trunk), new[:, :, twig.start : twig.start + len(twig)]], dim=2)
            if twig.kept is not None:
                twig.kept[layer, :, :, : kv.shape[2]] = kv
            for start, stop, columns, mask in looks:
                rows = slice(twig.start + start, twig.start + stop)
                out[:, :, rows] = sdpa(query[:, :, rows], kv[:, :, columns][None], mask, scaling)
        return out


def _looks(
    tree: Tree, group: int, dtype: torch.dtype, device: torch.device
) -> list[tuple[int, int, torch.Tensor, torch.Tensor]]:
    """A tree's tokens in stretches: first and last + 1, the columns that any of them sees, and who sees which.

    Branches see nothing of each other, so in a tree of many most of the square of all tokens need not be computed.
    """
    import torch

    sees = torch.from_numpy(tree.sees())
    found = []
    for start in range(0, len(tree), _STRETCH):
        rows = sees[start : start + _STRETCH]
        columns = rows.any(0).nonzero()[:, 0]
        mask = tiled(rows[:, columns], group, dtype).to(device)
        found.append((start, start + len(rows), columns.to(device), mask))
    return found
