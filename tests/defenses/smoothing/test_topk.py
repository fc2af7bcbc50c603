"""Certificates of lists, against an adversary who tries everything."""

from __future__ import annotations

import itertools
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from audit.defense import EditKind
from audit.stats import clopper_pearson
from defenses.smoothing.kernels import Kernel, Shift
from defenses.smoothing.radii import Scenarios, World, exact_radii
from defenses.smoothing.topk import all_kept_out, all_stay, kept_out, stays

Lists = list[tuple[int, ...]]


def can_push_out(values: list[int], item: int, free: int, k: int, depth: int) -> bool:
    """Whether f free lists of `depth` entries can lift k others to the item's count, by trying every set of k others.

    Lists can be filled with needs n_j if and only if each is at most f and together at most f * depth: round robin.
    """
    for others in itertools.combinations([j for j in range(len(values)) if j != item], k):
        needs = [max(values[item] - values[j], 0) for j in others]
        if max(needs) <= free and sum(needs) <= free * depth:
            return True
    return False


def can_push_in(values: list[int], item: int, free: int, k: int) -> bool:
    """Whether an item that every free list holds has fewer than k others above it; a tie is the adversary's."""
    return sum(v > values[item] + free for j, v in enumerate(values) if j != item) < k


def test_the_counting_adversary_is_the_one_who_writes_lists() -> None:
    """On tiny instances every way of filling the free lists is tried, one by one."""
    rng = np.random.default_rng(2)
    seen = set()
    for _ in range(120):
        items, k, depth, free = 4, int(rng.integers(1, 3)), int(rng.integers(1, 3)), int(rng.integers(0, 3))
        values = [int(v) for v in rng.integers(0, 4, size=items)]
        lists = [c for n in range(depth + 1) for c in combinations(range(items), n)]
        out = into = False
        for filled in itertools.product(lists, repeat=free):
            after = [v + sum(j in entry for entry in filled) for j, v in enumerate(values)]
            out |= sum(after[j] >= after[0] for j in range(1, items)) >= k
            into |= sum(after[j] > after[0] for j in range(1, items)) < k
        assert out == can_push_out(values, 0, free, k, depth)
        assert into == can_push_in(values, 0, free, k)
        seen |= {("out", out), ("into", into)}
    assert len(seen) == 4


def random_instance(rng: np.random.Generator) -> tuple[int, int, int, int, int, Lists]:
    units, kept = int(rng.integers(3, 7)), int(rng.integers(1, 3))
    items, k, depth = int(rng.integers(2, 7)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    depth = min(depth, items)
    # Some items are in most lists, others in few.
    taste = rng.gamma(0.4, size=items) + 1e-3
    lists = [
        tuple(int(i) for i in rng.choice(items, size=depth, replace=False, p=taste / taste.sum()))
        for _ in combinations(range(units), kept)
    ]
    return units, kept, items, k, depth, lists


def counts(lists: Lists, items: int) -> list[int]:
    return [sum(j in entry for entry in lists) for j in range(items)]


def truth(
    kind: EditKind,
    edits: int,
    units: int,
    kept: int,
    items: int,
    k: int,
    depth: int,
    lists: Lists,
    item: int,
    out: bool,
) -> bool:
    """Whether the statement stands against every edit and every filling of the copies that it frees."""
    sets = list(combinations(range(units), kept))
    if kind == "insertion":
        free = Kernel("K2", kept).count(units + edits) - len(sets)
        cases = [(counts(lists, items), free)]
    else:
        cases = []
        for gone in combinations(range(units), edits):
            left = [entry for entry, s in zip(lists, sets, strict=True) if not set(s) & set(gone)]
            cases.append((counts(left, items), len(sets) - len(left) if kind == "substitution" else 0))
    if out:
        return not any(can_push_in(values, item, free, k) for values, free in cases)
    return not any(can_push_out(values, item, free, k, depth) or values[item] == 0 for values, free in cases)


def test_no_false_certificate_on_3000_random_instances() -> None:
    """The joint test, the simple test inside it, and the test of every attacked set: none says what is false."""
    rng = np.random.default_rng(20_26)
    certified = {"bound": 0, "tried": 0}
    kinds: tuple[EditKind, ...] = ("substitution", "insertion", "deletion")
    for number in range(3_200):
        units, kept, items, k, depth, lists = random_instance(rng)
        kernel, kind = Kernel("K2", kept), kinds[number % 3]
        edits = int(rng.integers(0, 3 if kind == "insertion" else min(3, units - kept + 1)))
        values = counts(lists, items)
        share = [Fraction(v, len(lists)) for v in values]
        shift = kernel.shift(units, kind, edits)
        assert shift is not None
        cast = np.array([[int(j in entry) for j in range(items)] for entry in lists], dtype=np.int64)
        world = World(kernel, units, list(combinations(range(units), kept)), cast, np.ones(len(lists), dtype=bool))
        order = sorted(range(items), key=lambda j: -values[j])
        for place, item in enumerate(order):
            others = [s for j, s in enumerate(share) if j != item]
            into = place < k
            if into:
                by_bound = stays(share[item], others, k, depth, shift)
                by_trial = world.every(kind, edits, lambda s: all_stay(s, [item], k, depth), np.array([True]))[0]  # noqa: B023
            else:
                by_bound = kept_out(share[item], others, k, shift)
                by_trial = world.every(kind, edits, lambda s: all_kept_out(s, [item], k), np.array([True]))[0]  # noqa: B023
            true = truth(kind, edits, units, kept, items, k, depth, lists, item, not into)
            assert not (by_bound and not true), (number, kind, edits, item)
            assert by_trial == true, (number, kind, edits, item)
            certified["bound"] += by_bound
            certified["tried"] += bool(by_trial)
    # Not for want of certificates; and trying every set certifies more than the bounds.
    assert certified["bound"] > 2_000
    assert certified["tried"] > certified["bound"]


def test_a_tie_after_the_edits_is_not_certified() -> None:
    tenth = Shift(Fraction(1), Fraction(1, 10), Fraction(1, 10))
    assert not stays(Fraction(6, 10), [Fraction(4, 10)], 1, 1, tenth)
    assert stays(Fraction(6, 10) + Fraction(1, 10**9), [Fraction(4, 10)], 1, 1, tenth)
    assert not kept_out(Fraction(4, 10), [Fraction(6, 10)], 1, tenth)
    assert kept_out(Fraction(4, 10) - Fraction(1, 10**9), [Fraction(6, 10)], 1, tenth)
    # In floating point the same comparison can come out either way.
    assert 0.3 - 0.1 != 0.1 + 0.1


def test_the_joint_test_sees_that_slots_are_shared() -> None:
    # Two others must both reach one half with one slot per free copy: .3 + .3 + .1 is less than twice .4.
    tenth = Shift(Fraction(1), Fraction(1, 10), Fraction(1, 10))
    others = [Fraction(31, 100), Fraction(31, 100), Fraction(0)]
    assert stays(Fraction(50, 100), others, 2, 1, tenth)
    assert not stays(Fraction(50, 100), others, 2, 2, tenth)
    assert not stays(Fraction(50, 100), others, 2, None, tenth)


def test_fewer_others_than_places() -> None:
    half = Shift(Fraction(1), Fraction(1, 2), Fraction(1, 2))
    assert stays(Fraction(6, 10), [Fraction(1)], 2, 1, half)
    assert not stays(Fraction(1, 2), [Fraction(1)], 2, 1, half)  # it may lose all votes, and then is not listed
    assert not kept_out(Fraction(0), [Fraction(1)], 2, half)
    scenario = Scenarios(np.array([[3, 1]]), np.array([4]), np.array([9]))
    assert all_stay(scenario, [0], 2, 1).tolist() == [[True]]
    assert all_stay(scenario, [0], 2, 1, unlisted=5).tolist() == [[False]]


def test_slack_counts_against_the_certificate() -> None:
    scenario = Scenarios(np.array([[30, 20, 0]]), np.array([9]), np.array([9]))
    assert all_stay(scenario, [0], 1, None).tolist() == [[True]]
    assert all_stay(scenario, [0], 1, None, slack=1).tolist() == [[False]]
    assert all_kept_out(scenario, [2], 1).tolist() == [[True]]
    assert all_kept_out(scenario, [2], 1, slack=21).tolist() == [[False]]


def test_the_price_of_a_hundred_candidates() -> None:
    # An item without a vote in a thousand copies, alpha .001 over a hundred candidates.
    assert clopper_pearson(0, 1000, 1 - 0.001 / 100, side="upper").high == pytest.approx(0.01145, abs=5e-6)


def test_exact_radii_of_a_list() -> None:
    # Item 0 is in every list, item 1 only where unit 4 is kept.
    sets = list(combinations(range(5), 1))
    cast = np.array([[1, int(s == (4,))] for s in sets], dtype=np.int64)
    world = World(Kernel("K2", 1), 5, sets, cast, np.ones(5, dtype=bool))
    nothing = np.zeros(1, dtype=bool)
    (first,) = exact_radii(world, "substitution", lambda s: all_stay(s, [0], 1, 1), lambda _: nothing)
    # One substitution: 4 against 1 + 1; two: 3 against 1 + 2 is a tie.
    assert first == 1
    (second,) = exact_radii(world, "substitution", lambda s: all_kept_out(s, [1], 1), lambda _: nothing)
    assert second == 1
