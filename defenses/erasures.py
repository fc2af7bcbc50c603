"""Which parts of a sequence are erased: the three ways of erase-and-check (Kumar et al. 2023, sections 3 to 5)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Literal, get_args

Mode = Literal["suffix", "insertion", "infusion"]
"""Where an adversary added words: at the end; in one block anywhere; one by one anywhere."""
MODES: tuple[Mode, ...] = get_args(Mode)

Erased = tuple[int, ...]
"""Positions that are erased, ascending."""


def erasures(units: int, mode: Mode, most: int) -> Iterator[Erased]:
    """Every set of positions to erase, each once: first none, then the smaller ones.

    Args:
        units: length of the sequence.
        mode: see `Mode`.
        most: d, the most that are erased.
    """
    yield ()
    for count in range(1, min(most, units) + 1):
        if mode == "suffix":
            yield tuple(range(units - count, units))
        elif mode == "insertion":
            yield from (tuple(range(start, start + count)) for start in range(units - count + 1))
        else:
            yield from itertools.combinations(range(units), count)


def count(units: int, mode: Mode, most: int) -> int:
    """How many sets `erasures` gives."""
    most = min(most, units)
    if mode == "suffix":
        return 1 + most
    if mode == "insertion":
        return 1 + sum(units - length + 1 for length in range(1, most + 1))
    return sum(math.comb(units, length) for length in range(most + 1))
