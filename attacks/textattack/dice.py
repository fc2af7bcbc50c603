"""Random streams for a library that draws from the global ones.

TextAttack draws from Python's and NumPy's global generators. Each user's search gets states of its own, which stand in
the global generators only while that search runs, so that neither other users, nor other attacks, nor the order in
which they are run change what it draws, and the rest of the process never notices.
"""

from __future__ import annotations

import random  # the one place: see above
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class Dice:
    """The states of both global generators that belong to one search."""

    def __init__(self, rng: np.random.Generator) -> None:
        first, second = (int(seed) for seed in rng.integers(2**32, size=2, dtype=np.int64))
        self._python = random.Random(first).getstate()  # noqa: S311 - typing errors, not secrets
        self._numpy = np.random.RandomState(second).get_state()

    @contextmanager
    def rolled(self) -> Iterator[None]:
        """Inside the block the global generators go on where this search left them; then they are put back."""
        with kept_streams():
            random.setstate(self._python)
            np.random.set_state(self._numpy)
            try:
                yield
            finally:
                self._python = random.getstate()
                self._numpy = np.random.get_state()


@contextmanager
def kept_streams() -> Iterator[None]:
    """The global generators are after the block as they were before it."""
    python, legacy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
