"""Whether a model can be run by this engine: tried on it, once, before anything is believed."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from audit.targets.engine.attention import Unsupported
from audit.targets.engine.plan import BLOCK, Path, Tree, grow

if TYPE_CHECKING:
    import torch

    from audit.targets.engine.runner import PrefixRunner

REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError)
"""What architectures that do not fit raise when they are tried."""

_TOLERANCE = {"torch.float32": 1e-3, "torch.float16": 2e-2}
_COARSE = 5e-2
"""Largest difference to a plain pass, as a share of the largest logit. Anything wrong in structure is far above."""


def judge(runner: PrefixRunner) -> tuple[bool, str]:
    """Whether the model can be run, and what there is to say about it; sets `runner.mixes`.

    Returns:
        Whether trees give what plain passes give, and a sentence for the reader ("" for a model that fits fully).
    """
    import torch

    name = type(runner.model).__name__
    alone = f"{name} is asked one prompt at a time: "
    requests = _requests(int(runner.model.config.vocab_size))
    held, runner.cache.max_bytes = runner.cache.max_bytes, 1 << 30
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            # Some architectures only warn about what they do not take; the comparison below tells.
            warnings.simplefilter("ignore")
            found = _logits(runner, requests)
            plain = [torch.stack([_plain(runner, p) for p in prompts]) for prompts in requests]
            tolerance = _TOLERANCE.get(str(runner.dtype), _COARSE)
            # Not `>`: a difference that is not a number is no agreement.
            if not all(_difference(f, p) < tolerance for f, p in zip(found, plain, strict=True)):
                return False, alone + "behind a shared prefix it computes something else than without"
            runner.mixes = _alike(runner, requests, found)
    except Unsupported as error:
        return False, f"{alone}{error}"
    except REFUSALS:
        return False, alone + "it takes no positions or no attention function of ours"
    finally:
        runner.cache.clear()
        runner.cache.max_bytes = held
        runner.cache.stats.hits = runner.cache.stats.misses = runner.cache.stats.dropped = 0
    if runner.mixes:
        return True, ""
    return True, f"{name} is asked one request at a time: here its numbers would depend on what else is in the batch"


def _requests(vocabulary: int) -> list[list[list[int]]]:
    """Prompts that share blocks, part of a block, and nothing; short enough for a model of 128 positions."""
    top = min(vocabulary, 300)
    trunk = [(7 * i + 3) % top for i in range(2 * BLOCK + 5)]
    return [
        [[*trunk, 5 % top, 11 % top], [*trunk, 6 % top]],
        [[*trunk[: BLOCK + 9], *(13 % top,) * n] for n in (1, 4, 30)],
        [[(11 * i + 1) % top for i in range(BLOCK + 1)]],
        [[8 % top]],
    ]


def _trees(requests: list[list[list[int]]]) -> list[Tree]:
    return [tree for prompts in requests for tree in grow([Path.last(p) for p in prompts])]


def _logits(runner: PrefixRunner, requests: list[list[list[int]]]) -> list[torch.Tensor]:
    trees = _trees(requests)
    states = dict(runner.run(trees))
    return [runner.logits(states[i])[tree.rows] for i, tree in enumerate(trees)]


def _alike(runner: PrefixRunner, requests: list[list[list[int]]], together: list[torch.Tensor]) -> bool:
    """Whether the numbers of a request are the same bits alone, together, and behind known or unknown blocks."""
    import torch

    for known in (True, False):
        for request, expected in zip(requests, together, strict=True):
            if not known:
                runner.cache.clear()
            if not torch.equal(_logits(runner, [request])[0], expected):
                return False
    many = [*requests[::-1], *([[t] for t in range(1, n)] for n in (9, 40)), *requests]
    again = _logits(runner, many)
    return all(torch.equal(again[-len(requests) + i], expected) for i, expected in enumerate(together))


def _plain(runner: PrefixRunner, prompt: list[int]) -> torch.Tensor:
    import torch

    ids = torch.tensor([prompt], device=runner.device)
    logits: torch.Tensor = runner.model(input_ids=ids, use_cache=False).logits[0, -1].float()
    return logits


def _difference(found: torch.Tensor, plain: torch.Tensor) -> float:
    return float((found - plain).abs().max() / plain.abs().max().clamp(min=1.0))
