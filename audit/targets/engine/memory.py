"""How many tokens one forward pass may hold, by the memory there is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

MOST = 2048
"""More tokens in a pass give no more speed on a processor: its matrix products are as fast as they get."""

LEAST = 128
_ASSUMED = 1 << 30
"""Bytes taken as free where the system does not tell."""

_SHARE = 0.25
"""Of the free memory, for the activations of one pass."""


def free_bytes(device: torch.device) -> int:
    """Memory free on the device, in bytes."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        # Not Linux, or an old kernel. The number decides about speed alone, and too small a pass is a little slower.
        return _ASSUMED


def token_budget(config: Any, device: torch.device, itemsize: int) -> int:  # noqa: ANN401 - a transformers configuration
    """Tokens that one pass may hold: what fits into a quarter of the free memory, within `LEAST` and `MOST`.

    Args:
        config: gives the widths; what it does not tell is taken as four times the hidden size.
        device: of the model.
        itemsize: bytes of one number.
    """
    hidden = int(config.hidden_size)
    inner = int(getattr(config, "intermediate_size", None) or 4 * hidden)
    # Alive at once in a layer: the stream, its norm, queries, keys, values and output, and the gated inner product;
    # doubled for what norms hold in float32.
    per_token = 2 * itemsize * (6 * hidden + 3 * inner)
    return max(LEAST, min(MOST, int(free_bytes(device) * _SHARE) // per_token))


def ran_out(error: RuntimeError) -> bool:
    """Whether a RuntimeError of torch says that memory ran out."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
