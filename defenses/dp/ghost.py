"""Ghost clipping: the length of each unit's gradient without the gradient itself, and then one clipped sum.

A backward pass finds the lengths from what goes into a layer and what comes back to it (Goodfellow 2015; Li et al.
2022); a second one, through the same forward pass, weights each unit's loss by min(1, C / length). Its plain gradient
is the clipped sum, so memory does not grow with units times weights. The price is the second pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from audit.errors import ConfigError, TargetError
from audit.targets.weights import Model
from defenses.dp.gradients import Row, Rows
from defenses.dp.optimizer import Clipped, Gradients
from defenses.dp.terms import Mode

if TYPE_CHECKING:
    import torch

TIED = "ghost clipping does not support tied weights, whose gradients are added up before their length is known"


class GhostRows(Rows):
    """Rows of units, one each, and the clipped sum of their gradients; see `loop.ClippingSource`.

    Args:
        model: as of `Rows`, in float32.
        units: one row each.
        pad: token id for the padding.
        physical: the most rows in one pass.

    Raises:
        ConfigError: see `check_ghost` and `gradients.check_model`.
    """

    def __init__(self, model: Model, units: Sequence[Sequence[Row]], *, pad: int, physical: int = 8) -> None:
        check_ghost(model, units)
        super().__init__(model, units, pad=pad, mode="ghost", physical=physical)

    @staticmethod
    def _hooked(model: Model, mode: Mode | str) -> Any:  # noqa: ANN401 - of opacus, which has no types
        return _ghost()(model, loss_reduction="sum")

    def close(self) -> None:
        """Take the hooks of opacus off the model."""
        self._forget()
        super().close()

    def gradients(self, units: Sequence[int]) -> Iterator[tuple[Gradients, Sequence[float]]]:
        """See `loop.Source`: one backward pass for each unit, to check the clipped sum against."""
        import torch

        parameters = list(self._parameters.values())
        for part in self._micro(units):
            self.wrapped.disable_hooks()
            try:
                losses = self._losses_of(part)
                each = [self._backward(loss, keep=True) for loss in losses]
            finally:
                self.wrapped.enable_hooks()
            found = [
                torch.stack([_zeros(g, p) for g in of])
                for p, of in zip(parameters, zip(*each, strict=True), strict=True)
            ]
            yield found, losses.detach().tolist()

    def clipped(self, units: Sequence[int], clip: float) -> Iterator[tuple[Clipped, Sequence[float]]]:
        """See `loop.ClippingSource`."""
        for part in self._micro(units):
            total, told = self._sum(part, clip)
            yield Clipped(total, len(part)), told

    def _sum(self, part: Sequence[int], clip: float) -> tuple[Gradients, Sequence[float]]:
        losses = self._losses_of(part)
        norms = self._norms(losses)
        told: list[float] = losses.detach().tolist()
        parameters = list(self._parameters.values())
        sound = norms.isfinite().tolist()
        if not all(sound):
            # Nought times infinity is no number, so a weight of nought would not do: the sum is found without them.
            kept = [unit for unit, fine in zip(part, sound, strict=True) if fine]
            self._forget()
            return (self._sum(kept, clip)[0] if kept else [_zeros(None, p) for p in parameters]), told
        # As the optimizer of opacus clips.
        weights = (clip / (norms + 1e-6)).clamp(max=1.0).to(losses.dtype)
        self.wrapped.disable_hooks()
        try:
            found = self._backward((weights * losses).sum())
        finally:
            self.wrapped.enable_hooks()
        for (name, parameter), gradient in zip(self._parameters.items(), found, strict=True):
            carrier: Any = parameter
            if gradient is not None and carrier._norm_sample is None and bool(gradient.any()):
                raise TargetError(
                    f"dp: {name} has a gradient that ghost clipping did not measure, so it would not be clipped; use "
                    "mode hooks"
                )
        self._forget()
        return [_zeros(g, p) for g, p in zip(found, parameters, strict=True)], told

    def _losses_of(self, part: Sequence[int]) -> torch.Tensor:
        try:
            return self.losses([row for unit in part for row in self.units[unit]])
        except NotImplementedError as error:
            if "tying" not in str(error):
                raise
            raise ConfigError(f"dp.mode: {TIED}, and a layer of this model runs twice; use hooks") from None

    def _norms(self, losses: torch.Tensor) -> torch.Tensor:
        """(units,) length of each gradient over all parameters; the graph is kept for the second pass."""
        import torch

        self._forget()
        with warnings.catch_warnings():
            # The first layer reads frozen embeddings, which is what its hooks are told here; they need no more.
            warnings.filterwarnings("ignore", message="Full backward hook is firing when gradients are computed")
            torch.autograd.backward(losses.sum(), retain_graph=True)
        squares = torch.zeros(len(losses), dtype=torch.float64)
        for name, parameter in self._parameters.items():
            carrier: Any = parameter
            norm = carrier._norm_sample
            carrier.grad = None
            if norm is None:
                continue
            if norm.shape != squares.shape:
                raise TargetError(
                    f"dp: ghost clipping found {len(norm)} lengths at {name} for {len(losses)} units, so a layer does "
                    "not see them one by one; use mode hooks"
                )
            squares += norm.double().square()
        return squares.sqrt()

    def _backward(self, loss: torch.Tensor, *, keep: bool = False) -> Sequence[torch.Tensor | None]:
        import torch

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Full backward hook is firing when gradients are computed")
            return torch.autograd.grad(loss, list(self._parameters.values()), retain_graph=keep, allow_unused=True)

    def _forget(self) -> None:
        # A length that stayed from another pass would be taken for one of this.
        for parameter in self._parameters.values():
            carrier: Any = parameter
            carrier._norm_sample = carrier.grad = None


def check_ghost(model: Model, units: Sequence[Sequence[Row]]) -> None:
    """Raise ConfigError, with the reason, where ghost clipping would not bound a unit's influence.

    Args:
        model: to be trained.
        units: the rows of each unit.
    """
    import torch

    if any(len(theirs) != 1 for theirs in units):
        raise ConfigError(
            "dp.rows: ghost clipping measures one sequence at a time, not a user of several; take rows=1, with what "
            "they did in one sequence, or mode hooks"
        )
    first: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter.requires_grad and first.setdefault(id(parameter), name) != name:
            raise ConfigError(f"dp.mode: {TIED}: {first[id(parameter)]} is {name}; freeze it, or use hooks")
        if parameter.is_floating_point() and parameter.dtype not in (torch.float32, torch.float64):
            raise ConfigError(
                f"dp.mode: ghost clipping finds lengths in one pass and the sum in another, and {name} in "
                f"{str(parameter.dtype).removeprefix('torch.')} rounds them apart; load the model in float32, or use "
                "hooks"
            )


def linear_norms(layer: Any, activations: Any, backprops: torch.Tensor) -> dict[torch.Tensor, torch.Tensor]:  # noqa: ANN401 - the signature that opacus calls
    """(units,) length of the gradient of a linear layer's weight and bias, in double precision.

    ‖Σ_t g_t a_tᵀ‖² = Σ_st (g_s·g_t)(a_s·a_t). The sampler of opacus takes it in float32, where large terms that cancel
    leave a length that is too small, so that a unit would be clipped too little.
    """
    import torch

    back = backprops.double().reshape(len(backprops), -1, backprops.shape[-1])
    found = {}
    if layer.weight.requires_grad:
        into = activations[0].double().reshape(len(backprops), back.shape[1], -1)
        products = torch.bmm(back, back.transpose(1, 2)) * torch.bmm(into, into.transpose(1, 2))
        found[layer.weight] = products.sum((1, 2)).clamp(min=0).sqrt()
    if layer.bias is not None and layer.bias.requires_grad:
        found[layer.bias] = back.sum(1).norm(dim=1)
    return found


def _ghost() -> Any:  # noqa: ANN401 - a class made at run time, for opacus takes seconds to import
    import torch
    from opacus.grad_sample import GradSampleModuleFastGradientClipping

    class Ghost(GradSampleModuleFastGradientClipping):  # type: ignore[misc]
        """The hooks of opacus, with lengths of linear layers in double precision."""

        NORM_SAMPLERS = {  # noqa: RUF012 - a table of opacus
            **GradSampleModuleFastGradientClipping.NORM_SAMPLERS,
            torch.nn.Linear: linear_norms,
        }

    return Ghost


def _zeros(gradient: torch.Tensor | None, parameter: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.zeros_like(parameter, requires_grad=False) if gradient is None else gradient
