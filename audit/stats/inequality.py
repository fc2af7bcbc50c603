"""How unequally recommendations are spread over a catalogue, and how unequal chance alone would make them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.stats.resampling import Floats, as_values
from audit.stats.unit_values import centred

Counts = NDArray[np.int64]
_MAX_CELLS = 1 << 22


def gini(amounts: ArrayLike) -> float:
    """Gini coefficient: 2 Σ j x_(j) / (n Σ x) - (n + 1) / n, with x_(1) the least; 0 for equal amounts.

    Pass every item that could have been recommended, those with nothing included: among a hundred items of which ten
    are hit once each it is .9, and 0 if the others are left out. Its largest value is 1 - 1 / n.

    Args:
        amounts: how much each has, not negative, shape (n,).

    Raises:
        ValueError: there is no item, an amount is negative or not finite, or all are 0.
    """
    x = as_values(amounts, "amounts")
    if len(x) == 0 or np.any(x < 0) or x.sum() == 0:
        raise ValueError(
            "amounts: a Gini coefficient needs amounts that are not negative, at least one of them above 0"
        )
    return float(gini_rows(x[None, :])[0])


def gini_rows(amounts: Floats | Counts) -> Floats:
    """Gini coefficient of every row of (R, n); NaN where a row sums to 0."""
    n = amounts.shape[1]
    ordered = np.sort(amounts, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = 2.0 * (ordered @ np.arange(1.0, n + 1)) / (n * ordered.sum(axis=1)) - (n + 1) / n
    return result


def gini_unit_values(lists: Sequence[ArrayLike], items: int) -> Floats:
    """Gini coefficient of how often each item is listed, as one value per list whose mean is the coefficient.

    Args:
        lists: per unit, the distinct item indices it lists; at least two units, and at least two with an item.
        items: how many items there are.

    Raises:
        ValueError: there are fewer than two lists, or no list has an item.
    """
    held = [np.asarray(one, dtype=np.int64) for one in lists]
    if len(held) < 2 or not any(len(one) for one in held):
        raise ValueError("lists: at least two are needed, and an item in one of them")
    counts = np.bincount(np.concatenate(held), minlength=items)
    levels, level_of = np.unique(np.concatenate([counts, np.maximum(counts - 1, 0)]), return_inverse=True)
    up, down = level_of[:items], level_of[items:]
    whole = np.bincount(up, minlength=len(levels)).astype(np.float64)
    total = float(counts.sum())
    rows = max(1, _MAX_CELLS // len(levels))
    left: list[Floats] = []
    for start in range(0, len(held), rows):
        part = held[start : start + rows]
        at = np.repeat(np.arange(len(part)), [len(one) for one in part])
        which = np.concatenate(part) if len(at) else np.zeros(0, dtype=np.int64)
        # How many items have each count, once this list is taken away.
        holders = np.tile(whole, (len(part), 1))
        np.add.at(holders, (at, up[which]), -1.0)
        np.add.at(holders, (at, down[which]), 1.0)
        left.append(_gini_of_levels(levels, holders, total - np.array([len(one) for one in part])))
    return centred(float(_gini_of_levels(levels, whole[None, :], np.array([total]))[0]), np.concatenate(left))


def _gini_of_levels(levels: Counts, holders: Floats, totals: Floats) -> Floats:
    """Gini coefficients from how many items (R, levels) have each amount (levels,), least first."""
    n = holders.sum(axis=1)
    below = np.cumsum(holders, axis=1) - holders
    ranks = holders * (below + (holders + 1.0) / 2.0)  # items with equal amounts share their ranks
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = 2.0 * (ranks @ levels) / (n * totals) - (n + 1.0) / n
    return result


def reached_unit_values(lists: Sequence[ArrayLike], wanted: ArrayLike) -> Floats:
    """The share of the wanted items that any list holds, as one value per list whose mean is that share.

    Args:
        lists: per unit, the distinct item indices it lists; at least two units.
        wanted: (items,) which items count, at least one.

    Raises:
        ValueError: there are fewer than two lists or no item counts.
    """
    mask = np.asarray(wanted, dtype=bool)
    held = [np.asarray(one, dtype=np.int64) for one in lists]
    if len(held) < 2 or not mask.any():
        raise ValueError("lists: at least two are needed, and one item that counts")
    counts = np.bincount(np.concatenate(held), minlength=len(mask)) * mask
    alone = np.array([np.count_nonzero(counts[one] == 1) for one in held], dtype=np.float64)
    reached = float(np.count_nonzero(counts))
    return centred(reached / mask.sum(), (reached - alone) / mask.sum())


def random_lists(lengths: ArrayLike, offered: ArrayLike, *, rng: np.random.Generator, draws: int) -> NDArray[np.int64]:
    """Uniform random lists without repeats, as places among what each unit was offered.

    Floyd's algorithm, one step for all lists at once.

    Args:
        lengths: items listed per unit, shape (n,).
        offered: items offered per unit, at least as many, shape (n,).
        rng: source of the draws.
        draws: how often all lists are drawn.

    Returns:
        (draws, n, longest list), filled up with -1.

    Raises:
        ValueError: a list is longer than what is offered.
    """
    k = np.asarray(lengths, dtype=np.int64)
    v = np.asarray(offered, dtype=np.int64)
    if np.any(k > v):
        raise ValueError("lengths: a list without repeats cannot be longer than what is offered")
    found = np.full((draws, len(k), int(k.max(initial=0))), -1, dtype=np.int64)
    for step in range(found.shape[2]):
        last = v - k + step
        active = step < k
        picked = rng.integers(0, np.where(active, last + 1, 1), size=(draws, len(k)))
        taken = (found[:, :, :step] == picked[:, :, None]).any(axis=2)
        found[:, :, step] = np.where(active, np.where(taken, last, picked), -1)
    return found


def group_gap(lists: Floats, histories: Floats) -> tuple[Floats, Floats]:
    """MGU and DGU of IFairLRS (Jiang et al., WWW 2024): how far groups' shares in lists are from those in histories.

    GP is a group's share of all group memberships in the lists, GH that in the histories, GU = GP - GH. MGU is the
    mean of |GU| over groups, DGU the largest GU minus the smallest.

    Args:
        lists: memberships per group, (R, groups).
        histories: the same for the histories, (R, groups).

    Returns:
        MGU and DGU, each of shape (R,); NaN where a row sums to 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gu = lists / lists.sum(axis=1, keepdims=True) - histories / histories.sum(axis=1, keepdims=True)
    return np.abs(gu).mean(axis=1), np.ptp(gu, axis=1)
