"""Several prompts that begin alike, in one row of a batch.

The prompts of one group share a prefix (instruction and history); what differs (the item asked about) hangs behind it
as branches. Each branch sees the prefix and itself, never another branch: a tree attention mask. Its positions go on
from the prefix, so the model computes exactly what it would for each prompt alone, and the prefix is paid once:
27 tokens per example instead of 160 for sixteen films behind a history of ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Tokens = Sequence[int]


def common_prefix(prompts: Sequence[Tokens]) -> int:
    """Number of leading tokens that all prompts share, leaving at least one token to each prompt."""
    shortest = min(len(p) for p in prompts)
    first = prompts[0]
    for n in range(shortest - 1):
        if any(p[n] != first[n] for p in prompts):
            return n
    return max(shortest - 1, 0)


@dataclass(frozen=True)
class Group:
    """Prompts as one prefix and the branches behind it.

    Attributes:
        prefix: tokens all prompts begin with; may be empty.
        branches: what follows in each prompt, at least one token each.
    """

    prefix: Tokens
    branches: Sequence[Tokens]

    @classmethod
    def of(cls, prompts: Sequence[Tokens]) -> Group:
        """The group of some non-empty prompts."""
        n = common_prefix(prompts)
        return cls(prompts[0][:n], [p[n:] for p in prompts])

    def __len__(self) -> int:
        return len(self.prefix) + sum(map(len, self.branches))

    def split(self, limit: int) -> list[Group]:
        """The same branches in as many groups as needed so that none holds more than `limit` tokens, if it can be."""
        groups: list[list[Tokens]] = [[]]
        size = len(self.prefix)
        for branch in self.branches:
            if groups[-1] and size + len(branch) > limit:
                groups.append([])
                size = len(self.prefix)
            groups[-1].append(branch)
            size += len(branch)
        return [Group(self.prefix, branches) for branches in groups]


@dataclass(frozen=True)
class Packed:
    """Groups as tensors; one row per group, padded on the right.

    Attributes:
        input_ids: (rows, length) int64.
        position_ids: (rows, length) int64.
        attention_mask: (rows, 1, length, length), added to the attention scores: 0 where a token may look.
        rows: (prompts,) row of each prompt, groups in order, branches in order.
        ends: (prompts,) position in its row of each prompt's last token.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    attention_mask: torch.Tensor
    rows: torch.Tensor
    ends: torch.Tensor


def pack(groups: Sequence[Group], *, pad: int, dtype: torch.dtype) -> Packed:
    """Groups as one batch.

    Args:
        groups: at least one.
        pad: token id for the padding; it is never attended to.
        dtype: of the attention mask, the model's own.
    """
    import torch

    length = max(map(len, groups))
    ids = torch.full((len(groups), length), pad, dtype=torch.long)
    positions = torch.zeros((len(groups), length), dtype=torch.long)
    # Who a token belongs to: 0 the prefix, 1… its branch, -1 padding.
    owner = torch.full((len(groups), length), -1, dtype=torch.long)
    rows: list[int] = []
    ends: list[int] = []
    for row, group in enumerate(groups):
        at = start = len(group.prefix)
        ids[row, :at] = torch.tensor(list(group.prefix), dtype=torch.long)
        positions[row, :at] = torch.arange(at)
        owner[row, :at] = 0
        for number, branch in enumerate(group.branches, start=1):
            end = at + len(branch)
            ids[row, at:end] = torch.tensor(list(branch), dtype=torch.long)
            positions[row, at:end] = torch.arange(start, start + len(branch))
            owner[row, at:end] = number
            rows.append(row)
            ends.append(end - 1)
            at = end
    sees = (owner[:, None, :] == 0) | (owner[:, None, :] == owner[:, :, None])
    sees &= torch.ones((length, length), dtype=torch.bool).tril()
    sees &= owner[:, None, :] >= 0
    # Padding looks at itself: a row of the softmax without any entry would be NaN.
    sees |= torch.eye(length, dtype=torch.bool)
    mask = torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, torch.finfo(dtype).min)
    return Packed(ids, positions, mask[:, None], torch.tensor(rows), torch.tensor(ends))
