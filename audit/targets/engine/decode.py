"""Text: prefixes shared, equal prompts read once, keys written in place, finished rows gone.

Per step all rows are one flat row of tokens. Each row attends to its own keys in a call whose length is given by its
own length, rounded up to `_STRIDE`, so its text does not depend on the other rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from audit.targets.engine import memory
from audit.targets.engine.attention import sdpa
from audit.targets.engine.plan import Path, Tokens, grow
from audit.targets.sampling import Draw, next_tokens

if TYPE_CHECKING:
    import torch

    from audit.targets.engine.runner import PrefixRunner

_STRIDE = 64
"""Lengths at which rows attend are multiples of this: more calls per step for shorter ones, more padding for longer."""

_MOST_ROWS = 64
_SHARE = 0.25
"""Of the free memory, for keys and values of the rows."""

_SPARE = 0.875
"""Rows are moved together once fewer than this share of them is alive; moving costs a copy of all keys."""


class DecodingPass:
    """One new token per row.

    Args:
        kv: (layers, rows, 2, key heads, capacity, width), the rows' keys and values so far.
        lengths: tokens that each row holds already; rows of similar length stand together.
        group: query heads per key head.
    """

    def __init__(self, kv: torch.Tensor, lengths: Sequence[int], *, group: int) -> None:
        import torch

        self.reach = max(lengths) + 1
        self._kv = kv
        self._rows = torch.arange(len(lengths), device=kv.device)
        self._at = torch.tensor(lengths, device=kv.device)
        self._spans: list[tuple[slice, int, torch.Tensor]] = []
        start = 0
        for reach, members in groupby(lengths, key=lambda n: (n // _STRIDE + 1) * _STRIDE):
            rows = slice(start, start + len(list(members)))
            start = rows.stop
            hidden = torch.arange(reach, device=kv.device)[None] > self._at[rows, None]
            mask = torch.zeros(hidden.shape, dtype=kv.dtype, device=kv.device).masked_fill_(hidden, float("-inf"))
            self._spans.append((rows, reach, mask[:, None, None].expand(-1, 1, group, -1)))

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        """See `audit.targets.engine.attention.Pass`; also writes the new keys and values into the rows."""
        import torch

        n = len(self._rows)
        kv = self._kv[layer]
        for part, new in enumerate((key, value)):
            kv[self._rows, part, :, self._at] = new[0, :, :n].transpose(0, 1)
        out = torch.zeros_like(query)
        queries = query[0, :, :n].transpose(0, 1)[:, :, None]  # (rows, heads, 1, width)
        for rows, reach, mask in self._spans:
            found = sdpa(queries[rows], kv[rows, :, :, :reach], mask, scaling)
            out[0, :, rows] = found[:, :, 0].transpose(0, 1)
        return out


def write(
    runner: PrefixRunner,
    prompts: Sequence[Tokens],
    ends: Collection[int],
    *,
    max_new_tokens: int,
    rows: int | None = None,
    draws: Sequence[Draw] | None = None,
) -> list[list[int]]:
    """Continuations of prompts, without the end token.

    Args:
        runner: the model and its prefixes.
        prompts: none empty.
        ends: tokens that end a text.
        max_new_tokens: longest continuation.
        rows: texts written at once; None for what fits the free memory.
        draws: how the tokens of each text are drawn; None for the likeliest.
    """
    import torch

    found: list[list[int]] = [[] for _ in prompts]
    # Similar lengths go together: they need the same room and attend in the same calls. Longest first. Equal prompts go
    # together too: they are read once.
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), tuple(prompts[i]), i))
    with torch.inference_mode():
        while order:
            capacity = -(-(len(prompts[order[0]]) + max_new_tokens) // _STRIDE) * _STRIDE
            count = rows or _rows_that_fit(runner, capacity)
            batch, order = order[:count], order[count:]
            drawn = None if draws is None else [draws[i] for i in batch]
            texts = _write(runner, [prompts[i] for i in batch], ends, max_new_tokens, capacity, drawn)
            for i, tokens in zip(batch, texts, strict=True):
                found[i] = tokens
    return found


def _rows_that_fit(runner: PrefixRunner, capacity: int) -> int:
    layers, heads, width = runner.shape
    per_row = layers * 2 * heads * width * capacity * runner.dtype.itemsize
    return max(1, min(_MOST_ROWS, int(memory.free_bytes(runner.device) * _SHARE) // per_row))


def _write(
    runner: PrefixRunner,
    prompts: Sequence[Tokens],
    ends: Collection[int],
    max_new_tokens: int,
    capacity: int,
    draws: Sequence[Draw] | None,
) -> list[list[int]]:
    import torch

    kv = runner.room(len(prompts), capacity)
    # What is masked must still be finite: 0 times infinity is not 0.
    kv.zero_()
    read: dict[tuple[int, ...], int] = {}  # a prompt to the first row that it stands in
    firsts = [read.setdefault(tuple(p), row) for row, p in enumerate(prompts)]
    trees = [grow([Path.last(prompt)])[0] for prompt in read]
    states: list[torch.Tensor] = [torch.empty(0)] * len(prompts)
    for i, state in runner.run(trees, keep=[kv[:, row] for row in read.values()]):
        states[list(read.values())[i]] = state
    for row, first in enumerate(firsts):
        if row != first:
            kv[:, row] = kv[:, first]
            states[row] = states[first]
    found: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))  # the text that each row of `kv` belongs to
    lengths = [len(p) for p in prompts]
    done = [False] * len(prompts)
    chosen = next_tokens(runner.logits(torch.cat(states)), draws, 0)
    for step in range(max_new_tokens):
        for row, token in enumerate(chosen):
            done[row] = done[row] or token in ends
            if not done[row]:
                found[rows[row]].append(token)
        if all(done) or step + 1 == max_new_tokens:
            break
        if done.count(False) < _SPARE * len(done):
            alive = [row for row, over in enumerate(done) if not over]
            kv = kv[:, torch.tensor(alive, device=kv.device)]
            rows, lengths, chosen = [rows[r] for r in alive], [lengths[r] for r in alive], [chosen[r] for r in alive]
            draws = None if draws is None else [draws[r] for r in alive]
            done = [False] * len(alive)
        state = runner.forward(chosen, lengths, DecodingPass(kv, lengths, group=runner.group))
        chosen = next_tokens(runner.logits(state), draws, step + 1)
        lengths = [n + 1 for n in lengths]
    return found
