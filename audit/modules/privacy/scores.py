"""Scores of membership: the higher, the more a row looks like one that was trained on.

Each is a function of the row's tokens. Sources: loss, Yeom et al. 2018; Min-k%, Shi et al., ICLR 2024; Min-k%++, Zhang
et al. 2024; zlib and reference, Carlini et al., USENIX Security 2021; neighbourhood, Mattern et al., ACL 2023.
"""

from __future__ import annotations

import math
import zlib as _zlib

import numpy as np
import numpy.typing as npt

from audit.target import TokenMoments

Floats = npt.NDArray[np.float64]
_SHARE = 0.2
_FLAT = 1e-6


def loss(tokens: Floats) -> float:
    """Mean log-probability of a token; minus the loss."""
    return float(np.mean(tokens))


def min_k(tokens: Floats, share: float = _SHARE) -> float:
    """Mean of the least likely fifth of the tokens: those that only memory makes likely."""
    return _lowest(tokens, share)


def min_k_pp(moments: TokenMoments, share: float = _SHARE) -> float:
    """As `min_k`, each token first measured against all that could have stood in its place."""
    # Where the model is sure of everything there is no spread to measure by.
    return _lowest((moments.logprobs - moments.means) / np.maximum(moments.stds, _FLAT), share)


def zlib(tokens: Floats, text: str) -> float:
    """Log-probability of the text per byte of its compressed form: what is easy for everybody counts less."""
    return float(np.sum(tokens)) / len(_zlib.compress(text.encode("utf-8", "surrogatepass")))


def reference(tokens: Floats, base: Floats) -> float:
    """How much likelier the row is than to a model that never saw it."""
    return loss(tokens) - loss(base)


def neighbourhood(tokens: Floats, neighbours: list[Floats]) -> float:
    """How much likelier the row is than rows that differ in one item of the history."""
    return loss(tokens) - float(np.mean([loss(one) for one in neighbours]))


def confidence(tokens: Floats, *, chance: bool) -> float:
    """φ of LiRA: the log-odds of the right answer where that is a chance, else the mean log-probability."""
    value = loss(tokens)
    if not chance:
        return value
    # log p - log(1 - p), from log p.
    return value - math.log(max(-math.expm1(min(value, 0.0)), 1e-12))


def offline_lira(mine: float, outside: Floats, spread: float) -> float:
    """Offline LiRA: how far φ lies above what models give that were not trained on the row.

    1 - Φ((μ_out - φ) / σ) of Carlini et al., S&P 2022, equation 4, before Φ: the order is the same, and nothing is
    lost where Φ is 1 to the last digit.

    Args:
        mine: φ of the target.
        outside: φ of each shadow that was not trained on the row, at least one.
        spread: σ, one for all rows, as is better with few shadows.
    """
    return (mine - float(np.mean(outside))) / max(spread, 1e-9)


def _lowest(values: Floats, share: float) -> float:
    count = max(1, math.ceil(share * len(values)))
    return float(np.mean(np.sort(values)[:count]))
