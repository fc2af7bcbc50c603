"""Training weights by item group: what a history over-represents among targets counts less (IFairLRS, WWW 2024)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from audit.types import Item
from defenses.fairness.rerank import groups_of


def group_weights(histories: Sequence[Sequence[Item]], targets: Sequence[Item], column: str) -> Mapping[str, float]:
    """W_G = share of the group among history items / share among target items; below 1 where targets amplify it.

    Jiang et al., WWW 2024, re-weighting; the form is inferred from their text. A group that no target has is left out.

    Args:
        histories: of each training example.
        targets: of each training example.
        column: of the items.

    Raises:
        ValueError: the lengths differ, or no item has a group.
    """
    if len(histories) != len(targets):
        raise ValueError(f"histories and targets: {len(histories)} and {len(targets)} examples; one of each is needed")
    before = Counter(g for history in histories for item in history for g in groups_of(item, column))
    after = Counter(g for item in targets for g in groups_of(item, column))
    past, wanted = sum(before.values()), sum(after.values())
    if not past or not wanted:
        raise ValueError(f"column: no item has a value of {column!r}")
    return {group: (before[group] / past) / (count / wanted) for group, count in after.items()}


def example_weights(
    histories: Sequence[Sequence[Item]], targets: Sequence[Item], column: str
) -> npt.NDArray[np.float64]:
    """Per training example the mean weight of its target's groups, scaled to a mean of one; shape (n,).

    Multiply each example's loss by it. A target without a group keeps the weight one.

    Raises:
        ValueError: as `group_weights`.
    """
    weights = group_weights(histories, targets, column)
    found = np.array(
        [np.mean([weights[g] for g in groups]) if (groups := groups_of(item, column)) else 1.0 for item in targets]
    )
    result: npt.NDArray[np.float64] = found / found.mean()
    return result
