"""Text drawn at random from a language model, so that a draw can be repeated.

Each token is the inverse of the cumulative distribution at one uniform number. The numbers of a text follow from what
the model reads and from which draw is wanted, never from the texts beside it: an equal prompt and draw give an equal
text in any batch, and different draws are independent. An input that the model does not read cannot change its answer.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from audit.errors import ConfigError
from audit.seeds import generator

if TYPE_CHECKING:
    import torch

_TOP = 1024
"""Tokens among which a nucleus is looked for first: a whole vocabulary takes long to sort."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: logits are divided by it before the softmax.
        top_p: tokens are drawn from the nucleus, the fewest likeliest ones that hold at least this probability
            (Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020); 1 for all.

    Raises:
        ConfigError: a number outside its range.
    """

    temperature: float
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigError(f"target.temperature: {self.temperature} must be 0 (the likeliest token) or above")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"target.top_p: {self.top_p} must be above 0 and at most 1")

    def draw(self, prompt: Sequence[int], number: int, length: int) -> Draw:
        """One draw of a text.

        Args:
            prompt: token ids that the model reads.
            number: which draw, from 0.
            length: the most tokens it may have; a longer draw begins like a shorter one.
        """
        read = hashlib.sha256(np.asarray(prompt, dtype="<i8").tobytes()).hexdigest()
        return Draw(self, generator(number, "text", read).random(length))


@dataclass(frozen=True, eq=False)
class Draw:
    """One draw of a text.

    Attributes:
        sampling: how tokens are drawn.
        uniforms: (steps) in [0, 1), one for each token.
    """

    sampling: Sampling
    uniforms: npt.NDArray[np.float64]

    def token(self, logits: torch.Tensor, step: int) -> int:
        """The token of one step.

        Args:
            logits: float32 (vocabulary); finite, or minus infinity for what cannot be said.
            step: from 0.
        """
        import torch

        # Float32 weights, float64 sums: 50,000 float32 weights summed in float32 lose the digits that place the border.
        weights = ((logits.float() - logits.max()) / self.sampling.temperature).exp()
        if self.sampling.top_p < 1:
            mass, tokens = _nucleus(weights, self.sampling.top_p)
        else:
            mass, tokens = weights.cumsum(0, dtype=torch.float64), None
        place = int(torch.searchsorted(mass, self.uniforms[step] * mass[-1], right=True))
        place = min(place, len(mass) - 1)
        return place if tokens is None else int(tokens[place])


def _nucleus(weights: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Cumulative weights of the nucleus, likeliest first, and its tokens."""
    import torch

    bound = top_p * weights.sum(dtype=torch.float64)
    values, tokens = weights.topk(min(_TOP, len(weights)))
    mass = values.cumsum(0, dtype=torch.float64)
    if mass[-1] < bound:
        values, tokens = weights.sort(descending=True, stable=True)
        mass = values.cumsum(0, dtype=torch.float64)
    kept = min(int((mass < bound).sum()) + 1, len(mass))
    return mass[:kept], tokens[:kept]


def next_tokens(logits: torch.Tensor, draws: Sequence[Draw] | None, step: int) -> list[int]:
    """The next token of each text.

    Args:
        logits: float32 (texts, vocabulary).
        draws: of each text; None for the likeliest token.
        step: from 0.
    """
    if draws is None:
        likeliest: list[int] = logits.argmax(1).tolist()
        return likeliest
    # Row by row: a reduction over a matrix may round a row by its neighbours.
    return [draw.token(row, step) for draw, row in zip(draws, logits, strict=True)]


class Drawn:
    """A logits processor of transformers' `generate` that leaves one token: the drawn one.

    Args:
        draw: of the text.
        start: tokens in front of the text.
    """

    def __init__(self, draw: Draw, start: int) -> None:
        self._draw = draw
        self._start = start

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (1, vocabulary) in which only the drawn token is not minus infinity."""
        import torch

        token = self._draw.token(scores[0], input_ids.shape[1] - self._start)
        left = torch.full_like(scores, float("-inf"))
        left[0, token] = 0.0
        return left
