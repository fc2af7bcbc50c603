"""Keys and values of shared prefixes, by block, least recently used first out.

A block is known by its tokens and the block before it, so equal text at another place is another block, as its keys
are. The levels of sharing need no names here: the first blocks are the instruction, which all users share; the next are
a user's history, which all variants of his request share; where an attack edits the instruction, what stands before the
edit is shared still. A parent is always used later than its children, so it outlives them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_ids = count(1)


@dataclass(eq=False)
class Block:
    """Keys and values of one block.

    Attributes:
        tokens: of the block.
        kv: (layers, 2, heads, tokens, width); filled by the pass that computes it.
        id: never used twice, so a block behind a dropped parent cannot be mistaken for one behind another.
    """

    tokens: tuple[int, ...]
    kv: torch.Tensor
    id: int = field(default_factory=lambda: next(_ids))

    @property
    def bytes(self) -> int:
        """Memory that it holds."""
        return self.kv.numel() * self.kv.element_size()


@dataclass
class CacheStats:
    """Counts since the engine was made, in blocks.

    Attributes:
        hits: found.
        misses: had to be computed.
        dropped: given up for newer ones.
        bytes: held now.
    """

    hits: int = 0
    misses: int = 0
    dropped: int = 0
    bytes: int = 0


_Key = tuple[int, tuple[int, ...]]


class BlockCache:
    """Blocks by parent and tokens.

    Args:
        max_bytes: the most that is held; 0 holds nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.stats = CacheStats()
        self._blocks: OrderedDict[_Key, Block] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def find(self, parent: Block | None, tokens: tuple[int, ...]) -> Block | None:
        """The block of these tokens behind `parent` (None: at the beginning)."""
        block = self._blocks.get((parent.id if parent else 0, tokens))
        if block is None:
            self.stats.misses += 1
        else:
            self.stats.hits += 1
        return block

    def put(self, chain: Sequence[Block]) -> None:
        """Hold all blocks of a prefix, now the most recently used ones; drop the oldest above `max_bytes`.

        Args:
            chain: the prefix's blocks in order, all computed.
        """
        # From the last to the first: the first is shared most and stays longest.
        for i in reversed(range(len(chain))):
            block = chain[i]
            key = (chain[i - 1].id if i else 0, block.tokens)
            if key not in self._blocks:
                self._blocks[key] = block
                self.stats.bytes += block.bytes
            self._blocks.move_to_end(key)
        while self.stats.bytes > self.max_bytes and self._blocks:
            _, oldest = self._blocks.popitem(last=False)
            self.stats.bytes -= oldest.bytes
            self.stats.dropped += 1

    def clear(self) -> None:
        """Hold nothing; the counts stay."""
        self._blocks.clear()
        self.stats.bytes = 0
