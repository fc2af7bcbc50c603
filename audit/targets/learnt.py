"""Whether a language model has learnt anything: how well it predicts the prompts that it is asked with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from audit.target import Recommender
from audit.targets.hf import HFTarget
from audit.types import Request

Floats = npt.NDArray[np.float64]

TOKENS = 512
"""Tokens of a prompt that are looked at, from its first: the logits of one pass must fit into memory."""


def surprise(target: Recommender, requests: Sequence[Request]) -> tuple[Floats, Floats] | None:
    """Nats per token of each prompt under the model, and under the frequencies of tokens in the other prompts.

    A model of random weights cannot tell one token from another, whatever their frequencies are; one that was trained
    on language beats them by far. Frequencies are counted over the prompts of the other requests, so that no prompt
    tells what stands in it; a token that none of them holds is taken for one of the vocabulary's, all alike.

    Args:
        target: any.
        requests: whose prompts are predicted; two at least.

    Returns:
        Two arrays (prompts,): the model's own nats per token, and those of the frequencies. None for a target that is
        no causal language model at hand, and where fewer than two prompts have a token to predict.
    """
    import torch

    from audit.targets.lm import CausalLM

    if not isinstance(target, HFTarget) or not isinstance(target.lm, CausalLM):
        return None
    lm = target.lm
    room = min(TOKENS, lm.limit or TOKENS)
    whole = lm.encode([target.render(request).text for request in requests])
    prompts = [tokens[:room] for tokens in whole if len(tokens) > 1]
    if len(prompts) < 2:
        return None
    every = Counter(token for tokens in prompts for token in tokens)
    words = lm.model.get_input_embeddings().num_embeddings
    own, counted = [], []
    for tokens in prompts:
        told = tokens[1:]
        with torch.inference_mode():
            logprobs = lm.told_logits(tokens[:1], told).log_softmax(-1)
            own.append(-float(logprobs[range(len(told)), told].mean()))
        here = Counter(tokens)
        others = every.total() - len(tokens)
        # One imagined token, spread over the vocabulary, makes room for what was never seen.
        counted.append(-float(np.mean([np.log((every[t] - here[t] + 1 / words) / (others + 1)) for t in told])))
    return np.array(own), np.array(counted)
