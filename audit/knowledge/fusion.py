"""Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009), and what a retrieval returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.knowledge.document import Document

RANK_CONSTANT = 60
DEPTH = 20
"""Entries of each list that take part, unless more are asked for."""


@dataclass(frozen=True)
class Hit:
    """One retrieved document.

    The sum by which lists are fused says only who comes before whom. It is no likeness and has no threshold, so it is
    not given: a document that has nothing to do with the query has one as well.

    Attributes:
        document: what was found.
        rank: in the fused list, from 1.
        lexical_rank: in the list by words; None: it shares no word with the query, or is beyond the first 20.
        dense_rank: in the list by meaning; None: it is beyond the first 20. That list is never
            empty, whatever is asked.
    """

    document: Document
    rank: int
    lexical_rank: int | None
    dense_rank: int | None


def fuse(lists: Sequence[Sequence[int]], depth: int = DEPTH) -> list[int]:
    """Documents of several lists, by `Σ 1/(60 + rank)` with ranks from 1, the greatest sum first.

    Args:
        lists: positions of documents, best first.
        depth: entries of each list that take part.

    Returns:
        Positions. Equal sums: the better single rank first, then the earlier list, then the earlier position.
    """
    sums: dict[int, float] = {}
    first: dict[int, tuple[int, int]] = {}
    for number, ranking in enumerate(lists):
        for rank, position in enumerate(ranking[:depth], start=1):
            sums[position] = sums.get(position, 0.0) + 1 / (RANK_CONSTANT + rank)
            first[position] = min(first.get(position, (rank, number)), (rank, number))
    # Rounded: sums of the same two ranks in another order are the same sum.
    return sorted(sums, key=lambda position: (-round(sums[position], 12), first[position], position))
