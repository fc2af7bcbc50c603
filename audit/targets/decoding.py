"""Text from any causal model, one prompt at a time: for those that the prefix-sharing engine does not take."""

from __future__ import annotations

from collections.abc import Collection

from audit.targets.packing import Tokens
from audit.targets.sampling import Draw, Drawn
from audit.targets.weights import Model


def write(
    base: Model, prompt: Tokens, *, max_new_tokens: int, ends: Collection[int], draw: Draw | None = None
) -> list[int]:
    """A continuation, token by token, without the end token.

    Args:
        base: a model with a language head; its own kind of cache is used, whatever that is.
        prompt: not empty.
        max_new_tokens: longest continuation.
        ends: token ids that end it.
        draw: how its tokens are drawn; None for the likeliest.
    """
    import torch

    with torch.inference_mode():
        written = base.generate(
            input_ids=torch.tensor([list(prompt)], device=base.device),
            attention_mask=torch.ones((1, len(prompt)), dtype=torch.long, device=base.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=sorted(ends) or None,
            pad_token_id=min(ends, default=0),
            logits_processor=None if draw is None else [Drawn(draw, len(prompt))],
        )[0, len(prompt) :].tolist()
    end = next((i for i, token in enumerate(written) if token in ends), len(written))
    return [int(token) for token in written[:end]]
