"""FreeLB: gradients of a loss averaged over the steps of an ascent in the space of input embeddings.

Source: Zhu et al., "FreeLB: Enhanced Adversarial Training for Natural Language Understanding", ICLR 2020, algorithm 1.
The descent direction is the mean of the K gradients met on the way up, not the last one alone, so that K passes train
on K virtual batches around each example. One dropout mask serves all K passes (section 3.3 of the paper).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audit.errors import ConfigError


@dataclass(frozen=True)
class Ascent:
    """The perturbation of one example: all its embedded tokens together, as one long vector.

    Attributes:
        steps: K, passes forth and back per batch; 1 trains on random noise.
        rate: L2 length of one step of the ascent, in the units of the embeddings.
        start: the first perturbation is uniform on [-start, start] in each coordinate, divided by the root of their
            number; its L2 norm is about start / sqrt(3), and never above `start`.
        norm: radius of the L2 ball that no perturbation leaves.

    Raises:
        ConfigError: a number out of range.
    """

    steps: int = 3
    rate: float = 0.5
    start: float = 0.5
    norm: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ConfigError(f"ascent.steps: {self.steps!r} must be a whole number of at least 1")
        for name in ("rate", "start", "norm"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise ConfigError(f"ascent.{name}: {value!r} must be a finite number of at least 0")

    def scaled(self, unit: float) -> Ascent:
        """The same with all lengths times `unit`."""
        return Ascent(self.steps, self.rate * unit, self.start * unit, self.norm * unit)


Shifts = tuple[Tensor, ...]
"""Perturbations, one tensor (batch, tokens, dim) per sequence that the model reads."""


def backward(loss: Callable[[Shifts], Tensor], masks: Sequence[Tensor], dim: int, ascent: Ascent) -> float:
    """Add the mean gradient of the loss along the ascent to the `grad` of whatever the loss depends on.

    Args:
        loss: of the batch, in nats, as a function of what is added to the embeddings; each example's part of it must
            depend on that example's perturbation alone, and the weights are read anew at each call.
        masks: (batch, tokens) per sequence, true where there is a token: padding is not perturbed.
        dim: width of the embeddings.
        ascent: how to climb.

    Returns:
        Mean of the K losses.
    """
    shifts = project(_start(masks, dim, ascent.start), ascent.norm)
    state = torch.get_rng_state()
    total = 0.0
    for step in range(ascent.steps):
        torch.set_rng_state(state)
        shifts = tuple(shift.detach().requires_grad_() for shift in shifts)
        value = loss(shifts) / ascent.steps
        value.backward()  # type: ignore[no-untyped-call]
        total += value.item()
        if step + 1 < ascent.steps:
            slopes = tuple(torch.zeros_like(s) if s.grad is None else s.grad for s in shifts)
            shifts = climb(shifts, slopes, masks, ascent)
    return total


@torch.no_grad()
def climb(shifts: Shifts, slopes: Shifts, masks: Sequence[Tensor], ascent: Ascent) -> Shifts:
    """One step of length `rate` along each example's normalised gradient, back into the ball.

    An example without any gradient stays where it is.
    """
    slopes = tuple(slope * mask[..., None] for slope, mask in zip(slopes, masks, strict=True))
    size = norms(slopes)
    scale = torch.where(size > 0, ascent.rate / size, torch.zeros_like(size))[:, None, None]
    return project(tuple(s + scale * g for s, g in zip(shifts, slopes, strict=True)), ascent.norm)


def norms(shifts: Shifts) -> Tensor:
    """L2 norm (batch) of each example's perturbation, over all its sequences together."""
    found: Tensor = torch.stack([shift.flatten(1).norm(dim=1) for shift in shifts]).norm(dim=0)
    return found


@torch.no_grad()
def project(shifts: Shifts, norm: float) -> Shifts:
    """The nearest perturbations inside the L2 ball of that radius around zero."""
    size = norms(shifts)
    scale = torch.where(size > norm, norm / size, torch.ones_like(size))[:, None, None]
    return tuple(shift * scale for shift in shifts)


def _start(masks: Sequence[Tensor], dim: int, start: float) -> Shifts:
    counts = torch.stack([mask.sum(1) for mask in masks]).sum(0).clamp(min=1) * dim
    scale = (start / counts.float().sqrt())[:, None, None]
    return tuple((torch.rand(*mask.shape, dim) * 2 - 1) * mask[..., None] * scale for mask in masks)
