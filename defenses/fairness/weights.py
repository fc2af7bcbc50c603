"""Training weights by item group: what a history over-represents among targets counts less (IFairLRS, WWW 2024)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from audit.types import Catalog, Item
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


def item_weights(
    catalog: Catalog, histories: Sequence[Sequence[Item]], targets: Sequence[Item], column: str
) -> npt.NDArray[np.float64]:
    """Per item of the catalogue the mean weight of its groups, for a training that weighs its targets by item.

    Args:
        catalog: the items.
        histories: of each training example.
        targets: of each training example.
        column: of the items.

    Returns:
        (n_items,) in the catalogue's order. An item without a group, or whose groups no target has, has the weight one.

    Raises:
        ValueError: as `group_weights`; or a group is among the targets and in no history, so that its items would not
            be learned at all.
    """
    weights = group_weights(histories, targets, column)
    if lost := sorted(group for group, weight in weights.items() if weight == 0.0):
        raise ValueError(f"{column}: {lost[0]!r} is among the targets and in no history, so its weight would be 0")
    means = [[weights[g] for g in groups_of(item, column) if g in weights] for item in catalog.items_in_order]
    return np.array([np.mean(found) if found else 1.0 for found in means])
