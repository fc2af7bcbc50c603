"""Prompts as shared blocks and a token tree: what has to be computed, decided before anything is.

All prompts of one request (the same question about several candidates, or one prompt with several continuations) form a
tree. Its trunk, the part that all of them begin with, is cut into blocks of fixed length, which other requests may
share; what is left of the trunk and all branches are one tree of tokens, in which equal beginnings occur once.

Cutting depends on the request alone, so that its numbers do too (see the package's text).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Tokens = Sequence[int]

BLOCK = 16
"""Tokens of a block. Shorter blocks share more of two prompts that part early, and cost more calls: of the 256 prompts
of a history of eight, 39 tokens each are computed with 16, 47 with 32, and 31 if every token could be shared."""

TREE_LIMIT = 1024
"""Tokens of one tree, above which its branches go into several: its attention mask grows with the square."""


@dataclass(frozen=True)
class Path:
    """One token sequence, and the positions whose output is read.

    Attributes:
        tokens: at least one.
        first: the outputs at positions `first` … `len(tokens) - 1` are read.
    """

    tokens: Tokens
    first: int

    @classmethod
    def last(cls, tokens: Tokens) -> Path:
        """Only the output after the last token is read."""
        return cls(tokens, len(tokens) - 1)


@dataclass
class Tree:
    """What one request, or a part of it, needs computed.

    Attributes:
        blocks: the shared trunk, `BLOCK` tokens each; nothing is read from them.
        tokens: of the tree behind the trunk, parents before children.
        parents: index of each token's parent in the tree; -1 behind the trunk.
        depths: position of each token in its sequence, from the trunk's beginning.
        reads: index in the tree of every output that is read: path by path, position by position.
        counts: number of reads of each path.
    """

    blocks: list[tuple[int, ...]]
    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def trunk(self) -> int:
        """Tokens in the blocks."""
        return len(self.blocks) * BLOCK

    @cached_property
    def nodes(self) -> list[int]:
        """Tokens that are read at least once, in order."""
        return sorted(set(self.reads))

    @property
    def rows(self) -> list[int]:
        """Place in `nodes` of each read: what many paths read, such as the end of their prompt, is read out once."""
        place = {node: row for row, node in enumerate(self.nodes)}
        return [place[read] for read in self.reads]

    def sees(self) -> NDArray[np.bool_]:
        """(tokens, trunk + tokens): who attends to whom: the trunk, its ancestors, itself."""
        n, trunk = len(self), self.trunk
        sees = np.zeros((n, trunk + n), dtype=np.bool_)
        sees[:, :trunk] = True
        for i, parent in enumerate(self.parents):
            if parent >= 0:
                sees[i, trunk:] = sees[parent, trunk:]
            sees[i, trunk + i] = True
        return sees

    def _add(self, path: Path, children: dict[tuple[int, int], int]) -> None:
        at = -1
        for position in range(self.trunk, len(path.tokens)):
            key = (at, path.tokens[position])
            node = children.get(key)
            if node is None:
                node = children[key] = len(self.tokens)
                self.tokens.append(path.tokens[position])
                self.parents.append(at)
                self.depths.append(position)
            if position >= path.first:
                self.reads.append(node)
            at = node
        self.counts.append(len(path.tokens) - path.first)


def grow(paths: Sequence[Path], *, limit: int = TREE_LIMIT) -> list[Tree]:
    """The trees of one request.

    Args:
        paths: at least one; each reads at least one position.
        limit: a tree takes further paths only while it and they stay below it.

    Returns:
        Mostly one tree; their reads in order are the reads of the paths in order.
    """
    trunk = _shared(paths) // BLOCK
    first = paths[0].tokens
    blocks = [tuple(first[i * BLOCK : (i + 1) * BLOCK]) for i in range(trunk)]
    trees = [Tree(blocks)]
    children: dict[tuple[int, int], int] = {}
    for path in paths:
        if trees[-1].counts and len(trees[-1]) + len(path.tokens) - trunk * BLOCK > limit:
            trees.append(Tree(blocks))
            children = {}
        trees[-1]._add(path, children)
    return trees


def _shared(paths: Sequence[Path]) -> int:
    """Tokens that all paths begin with and from which none reads."""
    n = min(path.first for path in paths)
    first = paths[0].tokens
    for path in paths[1:]:
        tokens = path.tokens
        if tokens[:n] != first[:n]:
            n = next(i for i in range(n) if tokens[i] != first[i])
    return n


def in_order(trees: Sequence[Tree]) -> list[int]:
    """Indices of the trees in the order in which to run them.

    Trees that begin alike run one after the other, so each prefix is needed in one stretch and a small cache is
    enough. Among the families the one with the longest tree goes first: what does not fit shows at once.
    """
    longest: dict[tuple[int, ...], int] = {}
    for tree in trees:
        family = tree.blocks[0] if tree.blocks else ()
        longest[family] = max(longest.get(family, 0), tree.trunk + len(tree))

    def place(i: int) -> tuple[object, ...]:
        tree = trees[i]
        family = tree.blocks[0] if tree.blocks else ()
        return (-longest[family], family, tree.blocks, -len(tree), i)

    return sorted(range(len(trees)), key=place)


def total(trees: Iterable[Tree]) -> int:
    """Tokens that have to be computed when nothing is cached: every distinct block once, and all trees."""
    seen: set[tuple[tuple[int, ...], ...]] = set()
    tokens = 0
    for tree in trees:
        tokens += len(tree)
        for end in range(1, len(tree.blocks) + 1):
            seen.add(tuple(tree.blocks[:end]))
    return tokens + BLOCK * len(seen)
