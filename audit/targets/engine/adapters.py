"""LoRA layers of PEFT, computed with fewer passes over memory and the same bits.

PEFT writes `base(x) + B(A(x)) * scaling`, which makes three large tensors where one is enough: of prompts by the
thousand token the copies of an adapter on every layer cost as much as its products. Within `lean` the term is added in
place. Layers that are anything but plain (several adapters, a merged or a disabled one, DoRA, dropout in training) are
left to PEFT.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def lora_layers(model: Any) -> list[Any]:  # noqa: ANN401 - transformers models have no useful static type
    """The LoRA layers of linear layers in a model; none where PEFT is not in use."""
    return [
        module
        for module in model.modules()
        if type(module).__name__ == "Linear" and type(module).__module__.startswith("peft.tuners.lora")
    ]


@contextmanager
def lean(layers: Sequence[Any]) -> Iterator[None]:
    """Let these layers add their term in place, where no gradients are wanted.

    Args:
        layers: as `lora_layers` finds them.
    """
    changed = []
    for layer in layers:
        forward = _forward(layer)
        if forward is not None:
            layer.forward = forward
            changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward


def _forward(layer: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:  # noqa: ANN401 - see above
    """The lean forward of one layer; None where it is not plain."""
    from torch.nn import Identity, Linear, functional

    names = [name for name in layer.active_adapters if name in layer.lora_A]
    if len(names) != 1 or layer.merged or layer.disable_adapters or names[0] in layer.lora_variant:
        return None
    base, down, up = layer.base_layer, layer.lora_A[names[0]], layer.lora_B[names[0]]
    dropout, scaling = layer.lora_dropout[names[0]], float(layer.scaling[names[0]])
    same = base.weight.dtype == down.weight.dtype == up.weight.dtype
    plain = all(type(part) is Linear for part in (base, down, up)) and up.bias is None and down.bias is None
    if not (same and plain and (isinstance(dropout, Identity) or not dropout.training)):
        return None
    # Times a power of two is exact, so that the term need not be rounded before it is added.
    exact = math.frexp(scaling)[0] == 0.5

    def forward(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = base(x)
        term = functional.linear(functional.linear(x, down.weight), up.weight)
        return result.add_(term, alpha=scaling) if exact else result.add_(term.mul_(scaling))

    return forward
