"""One private step: clip each unit's gradient, sum, add noise, divide by the expected batch, and descend.

It is the optimizer of opacus, with noise from a generator that a resumed training can wind to the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.errors import TargetError
from defenses.dp.secret import Secret

if TYPE_CHECKING:
    import torch

Gradients = Sequence["torch.Tensor"]
"""Of some units: per parameter a tensor (units, *shape of the parameter)."""


@dataclass(frozen=True)
class Clipped:
    """The sum of the gradients of some units, each clipped where it was found.

    Attributes:
        total: per parameter, in its shape.
        units: how many were added up; private.
    """

    total: Gradients
    units: int


class PrivateSteps:
    """The steps of one training.

    Args:
        parameters: what is trained, in a fixed order; float32.
        noise: σ, in units of the clipping norm.
        clip: C, the largest norm of one unit's gradient over all parameters together.
        expected: units per step on average; the sum is divided by it, never by how many there are, which is private.
        secret: where the noise comes from.
    """

    def __init__(
        self, parameters: Sequence[torch.Tensor], *, noise: float, clip: float, expected: float, secret: Secret
    ) -> None:
        import torch

        self.parameters = list(parameters)
        self.secret = secret
        self.plain = torch.optim.AdamW(self.parameters, weight_decay=0.0)
        self.private = _optimizer()(
            self.plain, noise_multiplier=noise, max_grad_norm=clip, expected_batch_size=expected, loss_reduction="mean"
        )

    def descend(self, parts: Iterable[Gradients | Clipped], *, step: int, rate: float) -> int:
        """One step along the gradients of some units.

        Args:
            parts: physical micro-batches, which together are the units of the step; each may be empty, or all. They
                are clipped unit by unit, unless they have been, and added up, and noise is added once. So how a batch
                is cut does not matter.
            step: number of the step, from 0; with the secret it says which noise.
            rate: learning rate.

        Returns:
            How many units there were; it is private.

        Raises:
            TargetError: a sum of clipped gradients is longer than such a sum can be.
        """
        self.plain.param_groups[0]["lr"] = rate
        self.private.draw = self.secret.rng("noise", step)
        self.private.zero_grad(set_to_none=True)
        units = 0
        for part in parts:
            if isinstance(part, Clipped):
                units += part.units
                self._add(part)
            else:
                units += len(part[0])
                self._accumulate(part)
        # The step itself is one more micro-batch, of nobody. So an empty batch is a step like any other, with noise.
        self._give([parameter.new_zeros((0, *parameter.shape)) for parameter in self.parameters])
        self.private.step()
        self.private.zero_grad(set_to_none=True)
        return units

    def _accumulate(self, part: Gradients) -> None:
        self._give(part)
        self.private.signal_skip_step(do_skip=True)
        self.private.step()
        self.private.zero_grad(set_to_none=True)

    def _add(self, part: Clipped) -> None:
        most = part.units * float(self.private.max_grad_norm)
        length = float(sum(t.double().square().sum() for t in part.total)) ** 0.5
        if not length <= most * 1.001:
            raise TargetError(
                f"dp: a sum of {part.units} clipped gradients has the length {length:.3g}, and at most {most:.3g} is "
                "possible, so they were not clipped unit by unit; use mode hooks"
            )
        for parameter, total in zip(self.parameters, part.total, strict=True):
            carrier: Any = parameter
            found = total.detach().to(parameter.dtype)
            carrier.summed_grad = found if carrier.summed_grad is None else carrier.summed_grad + found

    def _give(self, part: Gradients) -> None:
        import torch

        # A gradient that is not finite cannot be clipped; its unit has no influence on this step. To stop, or to
        # let it spoil the weights, would show that the unit was there.
        sound = torch.stack([g.detach().flatten(1).isfinite().all(1) for g in part]).all(0)
        for parameter, gradient in zip(self.parameters, part, strict=True):
            carrier: Any = parameter
            kept = gradient.detach().to(parameter.dtype)
            carrier.grad_sample = kept if bool(sound.all()) else kept.clone().masked_fill_(_shaped(~sound, kept), 0.0)

    def state(self) -> dict[str, torch.Tensor]:
        """Moments of the optimizer, by name and number of the parameter; empty before the first step."""
        return {
            f"{key}.{n}": value
            for n, parameter in enumerate(self.parameters)
            for key, value in self.plain.state[parameter].items()
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on with moments that `state` returned."""
        for n, parameter in enumerate(self.parameters):
            found = {
                key: state[f"{key}.{n}"].clone() for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{n}" in state
            }
            if found:
                self.plain.state[parameter] = found


def check_step(*, noise: float, clip: float, expected: float, make: type[PrivateSteps] = PrivateSteps) -> None:
    """Run steps on made-up gradients and measure what the guarantee rests on, before anybody's data is touched.

    Three properties: one unit, however large its gradient, moves the sum by at most the clipping norm; the noise has
    the standard deviation σC; a batch of nobody still gets noise. They are read from the gradient that the optimizer
    is given, through a descent of length one without moments.

    Raises:
        TargetError: one of them does not hold.
    """
    import torch

    rng = np.random.default_rng(0)
    many = 20_000

    def moved(gradients: Sequence[np.ndarray], secret: Secret, sigma: float) -> np.ndarray:
        parameter = torch.zeros(many, requires_grad=True)
        steps = make([parameter], noise=sigma, clip=clip, expected=expected, secret=secret)
        seen: list[np.ndarray] = []
        steps.plain.register_step_pre_hook(lambda *_: seen.append(_gradient(parameter)))
        parts = [[torch.tensor(np.stack(gradients), dtype=torch.float32)]] if gradients else []
        steps.descend(parts, step=0, rate=0.0)
        if len(seen) != 1:
            raise TargetError(f"dp: a step moved the weights {len(seen)} times instead of once; this is not DP-SGD")
        return seen[0] * expected

    usual = [scale * rng.standard_normal(many) for scale in (0.1 * clip, clip, 3 * clip)]
    large = 1e4 * clip * rng.standard_normal(many)
    without, with_it = moved(usual, Secret.of(0), 0.0), moved([*usual, large], Secret.of(0), 0.0)
    reach = float(np.linalg.norm(with_it - without))
    if reach > clip * 1.001:
        raise TargetError(
            f"dp: one unit moved the sum of a step by {reach / clip:.3g} times the clipping norm; the guarantee "
            "allows 1, so gradients are not clipped unit by unit"
        )
    if noise > 0:
        for said, gradients in (("a step", usual), ("a step of nobody", [])):
            still = moved(gradients, Secret.of(1), 0.0)
            found = float((moved(gradients, Secret.of(1), noise) - still).std() / (noise * clip))
            # 20,000 numbers: the standard deviation of their own is known to 0.5 %, so this is ten errors away.
            if abs(found - 1) > 0.05:
                raise TargetError(
                    f"dp: the noise of {said} has {found:.3g} times the standard deviation that the accountant "
                    "counts on"
                )


def _shaped(units: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return units.reshape(-1, *[1] * (like.dim() - 1))


def _gradient(parameter: torch.Tensor) -> np.ndarray:
    if parameter.grad is None:
        raise TargetError("dp: a step came without a gradient; this is not DP-SGD")
    return parameter.grad.detach().numpy().astype(np.float64)


def _optimizer() -> Any:  # noqa: ANN401 - a class made at run time, for opacus takes seconds to import
    import torch
    from opacus.optimizers import DPOptimizer

    class FromSecret(DPOptimizer):  # type: ignore[misc]
        """The optimizer of opacus, whose noise comes from `draw`."""

        draw: np.random.Generator

        def add_noise(self) -> None:
            """See opacus; the parameters are gone through in order, so equal generators give equal noise."""
            for parameter in self.params:
                scale = self.noise_multiplier * self.max_grad_norm
                noise = self.draw.standard_normal(tuple(parameter.shape)) * scale
                total = parameter.summed_grad
                parameter.grad = total + torch.from_numpy(np.asarray(noise)).to(total)

    return FromSecret
