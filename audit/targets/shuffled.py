"""A language model with its weights shuffled: the same architecture and prompt, and nothing learnt."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from audit.target import Recommender
from audit.targets.hf import HFTarget

MOST = 2_000_000_000
"""Weights of the largest model that is copied: a copy takes as much memory again."""


def shuffled(target: Recommender, rng: np.random.Generator) -> Recommender | None:
    """A copy of a target whose weights are permuted within each tensor; the target itself stays as it is.

    Permuting keeps the size of the weights of every layer, which drawing anew would not (Adebayo et al. 2018, sanity
    checks for saliency maps, randomise every layer).

    Args:
        target: any.
        rng: source of the permutations.

    Returns:
        None for a target whose weights are not at hand, or that has none, or more than `MOST`.
    """
    import torch

    if not isinstance(target, HFTarget):
        return None
    if sum(parameter.numel() for parameter in target.lm.model.parameters()) > MOST:
        return None
    model = copy.deepcopy(target.lm.model)
    with torch.no_grad():
        # Tied weights are one parameter, and named once.
        for parameter in model.parameters():
            flat = parameter.reshape(-1)
            order = torch.from_numpy(rng.permutation(flat.numel()))
            parameter.copy_(flat[order.to(flat.device)].reshape(parameter.shape))
    twin = copy.copy(target)
    twin.lm = type(target.lm)(model, target.lm.tokenizer, max_cache_bytes=target.lm.max_cache_bytes)
    # Without a fingerprint its answers are never taken for those of the model it was made from.
    twin.info = replace(target.info, name=f"{target.info.name}, weights shuffled", fingerprint=None)
    return twin
