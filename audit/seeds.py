"""Random generators, derived from the run's seed and a stable name: the only source of randomness."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on the seed and on the names, and on nothing else.

    Two parts of a run never share a stream, and adding one part does not change the draws of another.
    """
    # Escaped, so that ("a", "b/c") and ("a/b", "c") are two streams.
    path = "/".join(name.replace("\\", "\\\\").replace("/", "\\/") for name in names)
    digest = hashlib.sha256(path.encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest[:16], dtype="<u4").tolist()])
