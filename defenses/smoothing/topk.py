"""What is certified of a list: that an item stays among the first K, and that another cannot be pushed in.

The list is in the order of vote shares: p_i, the share of copies whose list holds item i. A copy's list has at most
`depth` entries, so that copies in an adversary's hand can serve at most `depth` competitors each. That they share these
slots is what the joint test uses; PORE (Jia et al., USENIX Security 2023) reasons in the same way about training data.

A tie counts against the certificate. All comparisons are of integers or fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from defenses.smoothing.kernels import Shift
from defenses.smoothing.radii import Bools, Ints, Scenarios


def stays(lower: Fraction, others: Sequence[Fraction], k: int, depth: int | None, shift: Shift) -> bool:
    """Whether an item stays among the first k, from bounds on shares.

    Simple test: fewer than k others can reach it. Joint test: to push it out, k others must all reach it, and any t of
    them together can have no more than their own shares and min(t, depth) slots of each copy that was added.

    Args:
        lower: lower bound on the item's share.
        others: upper bounds on the shares of others, at least the k largest (all, where there are fewer).
        k: how many are listed.
        depth: most entries in a copy's list; None where values and not votes are bounded.
        shift: what edits can do.
    """
    own = shift.lower(lower)
    if own <= 0:
        return False
    strongest = sorted(others, reverse=True)[:k]
    if len(strongest) < k or shift.upper(strongest[-1]) < own:
        return True
    total = Fraction(0)
    for t, share in enumerate(reversed(strongest), 1):
        total += shift.scale * share
        slots = t if depth is None else min(t, depth)
        if total + slots * shift.added < t * own:
            return True
    return False


def kept_out(upper: Fraction, others: Sequence[Fraction], k: int, shift: Shift) -> bool:
    """Whether an item cannot be pushed among the first k: k others stay above it.

    Args:
        upper: upper bound on the item's share.
        others: lower bounds on the shares of others.
        k: how many are listed.
        shift: what edits can do.
    """
    most = shift.upper(upper)
    return sum(shift.lower(share) > most for share in others) >= k


def all_stay(
    scenarios: Scenarios,
    chosen: Sequence[int],
    k: int,
    depth: int | None,
    *,
    unlisted: int = 0,
    unit: int = 1,
    slack: int = 0,
    owned: Sequence[int] = (),
) -> Bools:
    """Which of the chosen items stay among the first k in each scenario, however the free copies are filled.

    An adversary with f free copies of `depth` slots pushes an item out if and only if there are k others whose
    deficits, the votes that each lacks to reach it, are each at most f and together at most `depth` f.

    Args:
        scenarios: what is left of the votes.
        chosen: columns of the items, C of them.
        k: how many are listed.
        depth: see `stays`.
        unlisted: items on offer that no copy listed, and that have no column; any number from k on is the same.
        unit: see `radii.World`.
        slack: by how much the sums of others may be short of the true ones, because they were rounded down.
        owned: columns of items that are not on offer, unless an edit takes them from the history.

    Returns:
        (B, C) bool.
    """
    values, free = scenarios.values, scenarios.free * unit
    on_offer = np.setdiff1d(np.arange(values.shape[1]), list(owned))
    back = -np.sort(-values[:, list(owned)], axis=1)[:, : scenarios.gone]
    none = np.zeros((len(values), min(unlisted, k)), dtype=np.int64)
    rivals = np.concatenate([values[:, on_offer], back, none], axis=1)
    if rivals.shape[1] <= k:
        return np.asarray(values[:, list(chosen)] > 0)
    top = -np.partition(-rivals, k, axis=1)[:, : k + 1]
    top = -np.sort(-top, axis=1)
    found = np.zeros((len(values), len(chosen)), dtype=bool)
    for column, item in enumerate(chosen):
        own = values[:, item]
        deficits = np.maximum(own[:, None] - (_without(top, own) + slack), 0)
        slots = free * (k if depth is None else depth)
        pushed_out = (deficits.max(axis=1) <= free) & (deficits.sum(axis=1) <= slots)
        found[:, column] = ~pushed_out & (own > 0)
    return found


def _without(top: Ints, own: Ints) -> Ints:
    """(B, k) the k largest values but one's own, from the k + 1 largest in falling order."""
    # Where one's own value is not among them the last one goes.
    at = np.argmax(top == own[:, None], axis=1)
    at = np.where((top == own[:, None]).any(axis=1), at, top.shape[1] - 1)
    kept = np.arange(top.shape[1]) != at[:, None]
    return np.asarray(top[kept].reshape(len(top), -1), dtype=np.int64)


def all_kept_out(scenarios: Scenarios, items: Sequence[int], k: int, *, unit: int = 1, slack: int = 0) -> Bools:
    """Which items cannot be pushed among the first k in each scenario, were every free copy to list them.

    Returns:
        (B, I) bool.
    """
    values = scenarios.values
    if values.shape[1] < k:
        return np.zeros((len(values), len(items)), dtype=bool)
    # If k values are above an item's, its own is none of the k largest, so that it need not be left out.
    kth = -np.partition(-values, k - 1, axis=1)[:, k - 1]
    return np.asarray(kth[:, None] > values[:, list(items)] + slack + (unit * scenarios.free)[:, None])
