"""Random generators, derived from the run's seed and a stable name: the only source of randomness."""

from __future__ import annotations

import hashlib

import numpy as np

from audit.types import canonical_json


def generator(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on the seed and on the names, and on nothing else.

    Two parts of a run never share a stream, and adding one part does not change the draws of another.
    """
    digest = hashlib.sha256(canonical_json(names).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest[:16], dtype="<u4").tolist()])
